# One image for every service, the migrations and the simulated WhatsApp; the command chooses. See docker-compose.yml.
#
# Node runs the TypeScript sources as they are. It refuses types inside node_modules, so the rooms of the
# workspace stay where they are, linked by symlinks; nothing is bundled or copied there.

FROM node:24-slim AS base
RUN npm install --global pnpm@12.21.0
WORKDIR /app

# The web pages: needs the development packages, leaves only their result.
FROM base AS console
COPY . .
RUN pnpm install --frozen-lockfile --filter "@manyline/console..."
RUN cd apps/console && node node_modules/vite/bin/vite.js build

# What the services need at run time, and no more.
FROM base AS packages
COPY . .
RUN rm -rf bench infra docs \
 && pnpm install --prod --frozen-lockfile --filter-prod "{./services/*}..." --filter-prod @manyline/simulators

FROM node:24-slim
# What the logs, the traces and the list of workers call this version: docker build --build-arg MANYLINE_VERSION=1.2.3
ARG MANYLINE_VERSION=dev
ENV NODE_ENV=production MANYLINE_VERSION=$MANYLINE_VERSION OTEL_SERVICE_VERSION=$MANYLINE_VERSION
WORKDIR /app
COPY --from=packages /app ./
COPY --from=console /app/apps/console/dist ./apps/console/dist
# Where the simulated WhatsApp keeps its phones, and where files are kept; a new volume takes over this owner.
RUN install --directory --owner=node --group=node /state /media
USER node
# HEALTH_PORT or PORT, as the service that runs here has it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.HEALTH_PORT ?? process.env.PORT ?? 3000}/health/ready`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
WORKDIR /app/services/gateway
CMD ["node", "--import", "@manyline/runtime/telemetry", "src/main.ts"]
