/** Every key once, in a file that is valid; a test reads it. It stands in `docs/configuration.md`. */
export const exampleDocument = `cluster: default
proxy: { id: edge-1, threads: auto, engine: auto }
listeners:
  - url: mqtt://0.0.0.0:1883
    mode: relay
    pool: default
  - url: mqtt://[::1]:1884
    pool: meters
  - url: mqtts://0.0.0.0:8883
    advertise: edge-1.example.com
    neighbours: [edge-2.example.com:8883]
    tls:
      cert: a.crt
      key: a.key
      clientCa: ca.crt
      clientAuth: request
      crl: devices.crl
      expiredCrl: refuse
      minVersion: TLSv1.2
      ciphers: ECDHE+AESGCM:ECDHE+CHACHA20
      records: own
      certificates: [{ cert: b.crt, key: b.key, names: [b.example.org] }]
  - url: https://0.0.0.0:443
    pool: dashboards
    tls: { cert: a.crt, key: a.key }
    trustedProxies: [10.0.0.0/24]
pools:
  default:
    strategy: least-connections
    persistence: { by: client-id, ttl: 3600 }
    slowStart: 10
    health: { probe: tcp, interval: 5, timeout: 5, unhealthyThreshold: 3, healthyThreshold: 2 }
    upstream: { connectTimeout: 3, connackTimeout: 5, attempts: 5, deadline: 15 }
    nodes:
      - { id: emqx-1, url: "mqtt://10.0.0.1:1883", weight: 10 }
      - { id: emqx-2, url: "mqtt://10.0.0.2:1883", weight: 20 }
    discovery:
      - { dns: emqx.internal, port: 1883, interval: 5, family: 4, resolver: "10.0.0.53:53" }
      - { dns: _mqtt._tcp.example.org, srv: true }
  meters:
    strategy: client-id-hash
    upstream: { tls: { ca: brokers-ca.crt, serverName: emqx.internal, cert: own.crt, key: own.key, verify: true } }
    health: { probe: http, path: /status }
    nodes:
      - { id: emqx-3, url: "mqtts://10.0.0.3:8883", probeUrl: "http://10.0.0.3:18083/status" }
    discovery:
      - { emqx: "http://10.0.1.1:18083", key: breakwater, secret: change-me, port: 1883 }
  dashboards:
    strategy: round-robin
    persistence: { by: cookie, mode: insert, name: breakwater, expires: 86400, secret: change-me }
    upstream: { http: { answerTimeout: 60 } }
    nodes:
      - { id: emqx-1-http, url: "http://10.0.0.1:18083" }
      - { id: emqx-2-http, url: "http://10.0.0.2:18083" }
rules:
  - { when: { username: "^banned$" }, reject: not-authorized }
  - { when: { clientId: "^site-([0-9]+)-", protocolVersion: [4, 5] }, pool: meters, key: "$1" }
  - { when: { clientId: "^meter-", source: 10.1.0.0/16 }, pool: meters }
membership:
  { store: redis, url: "redis://127.0.0.1:6379", secret: "change-me-to-random-text", heartbeat: 1, recallTimeout: 0.5 }
admin:
  url: "https://127.0.0.1:9883"
  token: "change-me"
  tokens: [{ name: prometheus, role: viewer, token: "change-me-too" }]
  tls:
    cert: admin.crt
    key: admin.key
    clientCa: people.crt
    clientAuth: request
    clients: [{ cn: alice, role: operator }]
limits:
  maxConnections: 100000
  connectRatePerSource: 200
  deny: [192.0.2.0/24]
  connectTimeout: 10
  maxPacketSize: 1048576
  highWater: 65536
  maxHandshakes: 1000
  halfCloseTimeout: 10
  shutdownGrace: 30
  shutdownListeners: until-taken-over
log: { level: info, format: json }
`;
