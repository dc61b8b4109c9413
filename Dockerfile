# Two images of one build: `control-plane` (the default) and `upstream`, the demo upstream.
# RUST_IMAGE and RUNTIME_IMAGE name other base images: from a mirror, or with a proxy's
# certificates.
ARG RUST_IMAGE=rust:1.95-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY scripts/setup scripts/setup
RUN scripts/setup
COPY . .
RUN cargo build --locked --release --package legation --package upstream

FROM ${RUNTIME_IMAGE} AS runtime
COPY scripts/http-ready /usr/local/bin/
RUN useradd --system --no-create-home --uid 10001 legation \
    && install --directory --owner legation /var/lib/legation

FROM runtime AS upstream
COPY --from=build /src/target/release/upstream /usr/local/bin/
USER 10001
ENTRYPOINT ["upstream", "--address", "0.0.0.0"]

FROM runtime AS control-plane
COPY --from=build /src/target/release/legation /usr/local/bin/
USER 10001
VOLUME /var/lib/legation
EXPOSE 18000 18001
HEALTHCHECK --interval=5s --timeout=6s --start-period=10s CMD ["http-ready", "18001", "/readyz"]
ENTRYPOINT ["legation"]
CMD ["serve", "/etc/legation/gateway.yaml", "--admin", "0.0.0.0:18001", "--state", "/var/lib/legation"]
