# The image of sidecar, init container, webhook and control plane, for amd64 and arm64:
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg REVISION=$(git rev-parse HEAD) -t REGISTRY/outrigger:0.1.0 .
# Runs without a shell, as uid 1337, on a read-only root; /var/lib/outrigger may be written (an emptyDir).
ARG NODE=node:26.10.0-bookworm-slim
ARG BASE=debian:bookworm-slim

# Sources to the packed npm file: JavaScript, the same for every platform.
FROM --platform=$BUILDPLATFORM ${NODE} AS pack
WORKDIR /source
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN mkdir /packed && npm pack --pack-destination /packed

# The packed file with its packages and a filled compile cache, which is the platform's own.
FROM ${NODE} AS install
COPY deploy/image/install.sh package-lock.json /build/
COPY --from=pack /packed /packed
RUN sh /build/install.sh / /packed/outrigger-*.tgz /build/package-lock.json

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="outrigger" \
      org.opencontainers.image.description="A service-mesh sidecar proxy that runs and traces proxy-wasm plugins, configured over Envoy's xDS" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# nft and iptables are the init container's, libatomic and libstdc++ are Node.js's.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates iproute2 iptables libatomic1 libstdc++6 nftables && rm -rf /var/lib/apt/lists/* && install -d -o 1337 -g 1337 /var/lib/outrigger && ln -s /opt/outrigger/deploy/image/outrigger.js /usr/local/bin/outrigger
COPY --from=install /usr/local/bin/node /usr/local/bin/node
COPY --from=install /opt/outrigger /opt/outrigger
ENV NODE_COMPILE_CACHE=/opt/outrigger/compile-cache \
    XDG_CACHE_HOME=/var/lib/outrigger/cache \
    HOME=/var/lib/outrigger \
    MALLOC_ARENA_MAX=2
USER 1337:1337
WORKDIR /var/lib/outrigger
EXPOSE 15000 15001 15006 15020 15021 18000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["/usr/local/bin/node", "/opt/outrigger/deploy/image/healthcheck.js", "127.0.0.1:15000"]
# What the launcher becomes, without the shell.
ENTRYPOINT ["/usr/local/bin/node", "--max-semi-space-size=1", "--v8-pool-size=2", "--disable-warning=ExperimentalWarning", "/opt/outrigger/sidecar/main.js"]
CMD ["--help"]
