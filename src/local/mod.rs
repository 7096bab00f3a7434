//! Local mode: the same YAML on this machine, with processes in place of pods.
