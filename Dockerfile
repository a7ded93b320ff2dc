# The proxy; with the command "broker" or "agent" a node of its cluster.
ARG NODE_IMAGE=node:22-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No install scripts: koffi brings its native part ready-made, and "prepare" would build before the source is there.
RUN npm ci --ignore-scripts
COPY tsconfig.json rolldown.config.ts ./
COPY src ./src
COPY cluster ./cluster
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# The command "breakwater", for docker exec and preStop hooks too.
RUN ln -s /app/dist/breakwater/main.js /usr/local/bin/breakwater
# Nothing is written: it runs with a root that is read only (docker run --read-only, readOnlyRootFilesystem).
# Whom the image calls "node"; as a number, so that Kubernetes can see that it is not root.
USER 1000:1000
EXPOSE 1883 9883
# /livez needs no token. The admin address speaks HTTP, or HTTPS where admin.tls is set.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "-e", "const ask = (by, or) => by.get({ host: '127.0.0.1', port: 9883, path: '/livez', rejectUnauthorized: false }, (r) => process.exit(r.statusCode === 200 ? 0 : 1)).on('error', or); ask(http, () => ask(https, () => process.exit(1)))"]
# Node is process 1 and handles SIGTERM itself: devices get their time of grace (limits.shutdownGrace, 30 s), so allow
# more than Docker's 10 s between SIGTERM and SIGKILL (docker stop --time, stop_grace_period).
STOPSIGNAL SIGTERM
ENTRYPOINT ["breakwater"]
CMD ["start"]
