# syntax=docker/dockerfile:1
# The images, for those who build with a container engine: docker build --target modelyard-server -t modelyard-server:0.1.0 .
# `make image` makes the same without one. Each platform builds its own programs, so for several:
#   docker buildx build --platform linux/amd64,linux/arm64 --target modelyard .
#
# The final stages copy what tools/image has put together: program, loader, libraries, certificates. Whoever has the programs already
# names a folder from `tools/image --trees` in place of the stage: buildah build --build-context trees=DIR --target modelyard .

ARG RUST=1.95

FROM docker.io/library/rust:${RUST}-bookworm AS programs
ARG TARGETARCH
# Python is for tools/image and tools/onnxruntime; the newest patch of each is wanted.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 python3-pip \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN --mount=type=cache,id=cargo-registry,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=modelyard-target-${TARGETARCH},target=/source/target,sharing=locked \
    cargo build --release --workspace --locked --bins \
    && tools/image --trees --output /trees

FROM scratch AS trees
COPY --from=programs /trees/ /

FROM scratch AS system
ARG VERSION=0.1.0
LABEL org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/usr/local/bin:/usr/bin:/bin:/
WORKDIR /
USER 65532:65532

FROM system AS modelyard
LABEL org.opencontainers.image.title="Modelyard"
# The allocator gives memory back at once: what the lists at a start took would stay.
ENV MIMALLOC_PURGE_DELAY=0
COPY --from=trees /modelyard/ /
ENTRYPOINT ["/usr/local/bin/modelyard"]

FROM system AS modelyard-server
LABEL org.opencontainers.image.title="Modelyard inference server"
COPY --from=trees /modelyard-server/ /
EXPOSE 8080/tcp 9090/tcp
ENTRYPOINT ["/usr/local/bin/modelyard-server"]

FROM system AS modelyard-server-ort
LABEL org.opencontainers.image.title="Modelyard inference server with ONNX Runtime"
# Since 1.32 the library reports to its maker unless it is told not to.
ENV ORT_DISABLE_TELEMETRY=1
COPY --from=trees /modelyard-server-ort/ /
EXPOSE 8080/tcp 9090/tcp
ENTRYPOINT ["/usr/local/bin/modelyard-server"]
