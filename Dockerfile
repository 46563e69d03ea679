# One image for the operator and its workloads: a static binary, no shell, no root.
FROM rust:1.95-alpine AS build
RUN apk add --no-cache build-base cmake perl openssl-dev openssl-libs-static zlib-dev zlib-static
WORKDIR /src
COPY . .
RUN cargo build --release --locked && strip target/release/penstock

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /src/target/release/penstock /penstock
USER 65532:65532
ENTRYPOINT ["/penstock"]
