#!/bin/sh
# Stands in for the child in tests: what it does with a model is told by the number of threads in its order, and by whether it has
# tried others. It says that the model takes as many bytes as its process id is.
tried=0
while read -r order; do
    case "$order" in
    *'"threads":2,'*) [ "$tried" -gt 0 ] && kill -SEGV $$ ;;
    *'"threads":3,'*) [ "$tried" -gt 0 ] && echo '{"Invalid":"what others left"}' && continue ;;
    *'"threads":4,'*) [ "$tried" -gt 0 ] && echo 'no verdict' && continue ;;
    *'"threads":5,'*) kill -SEGV $$ ;;
    *'"threads":6,'*) echo '{"Invalid":"no graph"}' && continue ;;
    *'"threads":7,'*) [ "$tried" -gt 0 ] && echo 'failed to allocate 9' >&2 && kill -ABRT $$ ;;
    *'"threads":8,'*) while :; do read -r order; done ;;
    esac
    tried=$((tried + 1))
    memory=9
    case "$order" in *'"threads":9,'*) memory=8000000 ;; esac
    echo '{"Runs":{"choice":{"engine":"Tract","reason":""},"checked":[{"NoVerdict":"'$$'"}],"memory":'$memory'}}'
done
