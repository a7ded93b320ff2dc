import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Aedes, type AuthenticateError } from 'aedes';
import { afterEach, describe, expect, test } from 'vitest';
import { probes } from '../../src/health/index.ts';
import { lifeProbe } from '../../src/health/mqtt.ts';
import { type ProbeName, type ProbeTarget, probeTarget } from '../../src/health/probe.ts';
import { decodeProxyHeader } from '../../src/protocol/proxy-protocol/decode.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { until } from '../support/wait.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0)) await step();
});

async function serve(server: Server): Promise<ProbeTarget> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket.on('error', () => {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    nodeId: 'emqx-1',
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    path: '/status',
  };
}

const serveHttp = (listener: RequestListener) => serve(createHttpServer(listener));
/** A server that sends these pieces, each by itself, as soon as it is asked something. */
const answering = (...pieces: number[][]) =>
  createServer({ noDelay: true }, async (socket) => {
    await once(socket, 'data');
    for (const piece of pieces) await new Promise((sent) => socket.write(Uint8Array.from(piece), sent));
  });

const limits = { timeoutMs: 10_000 };
const all: ProbeName[] = ['tcp', 'http', 'mqtt'];
const failure = (code: string, message: unknown) => expect.objectContaining({ code, message });

describe.each(all)('%s probe', (name) => {
  test('of a closed port says so, for which node and where', async () => {
    const server = createServer();
    const target = await serve(server);
    server.close();
    const message = `${name} probe of node emqx-1 (127.0.0.1:${target.port}): ECONNREFUSED`;
    const error = await probes[name](target, limits).catch((thrown) => thrown);
    expect(error).toEqual(failure('PROBE_FAILED', message));
    expect(error.cause.message).toBe('ECONNREFUSED');
  });

  test('that is aborted closes its socket and says so', async () => {
    const server = createServer({ pauseOnConnect: true });
    const target = await serve(server);
    const abort = new AbortController();
    abort.abort();
    const probing = probes[name](target, { ...limits, signal: abort.signal });
    await expect(probing).rejects.toEqual(failure('PROBE_FAILED', expect.stringContaining('): aborted')));
  });
});

describe.each(all)('%s probe of a node that expects the PROXY protocol', (name) => {
  test.each([
    'v1',
    'v2',
  ] as const)('begins with a header of %s that tells its own address', async (version) => {
    const told: Buffer[] = [];
    const ports: unknown[] = [];
    const server = createServer((socket) => {
      ports.push(socket.remotePort);
      socket.on('error', () => {}).on('data', (bytes) => told.push(bytes));
    });
    const bare = await serve(server);
    const url = `mqtt://${bare.host}:${bare.port}`;
    const target = probeTarget({ id: 'emqx-1', url }, '/', version);
    const abort = new AbortController();
    const probing = probes[name](target, { ...limits, signal: abort.signal }).catch(() => {});
    const header = await until(() => {
      const bytes = Buffer.concat(told);
      const decoded = decodeProxyHeader(bytes, 0, bytes.length);
      return decoded.kind === 'header' && decoded;
    }, 'a header');
    expect(header.header).toEqual({
      version: version === 'v1' ? 1 : 2,
      source: { address: '127.0.0.1', port: ports[0] },
      destination: { address: bare.host, port: bare.port },
      tlvs: [],
    });
    abort.abort();
    await probing;
  });
});

test('a probe elsewhere than at the node has no header', () => {
  const node = { id: 'emqx-1', url: 'mqtt://10.0.0.1:1883' };
  expect(probeTarget(node, '/', 'v2').header).toBeDefined();
  expect(probeTarget({ ...node, probeUrl: 'mqtt://10.0.0.1:1883' }, '/', 'v2').header).toBeDefined();
  expect(
    probeTarget({ ...node, probeUrl: 'http://10.0.0.1:18083/status' }, '/', 'v2').header,
  ).toBeUndefined();
  expect(probeTarget(node, '/').header).toBeUndefined();
});

describe.each(['http', 'mqtt'] as const)('%s probe', (name) => {
  test('of a node that never answers times out and closes its socket', async () => {
    const server = createServer();
    const target = await serve(server);
    const accepted = once(server, 'connection');
    const probing = probes[name](target, { timeoutMs: 50 });
    const message = expect.stringMatching(/\): no answer within 50 ms$/);
    await expect(probing).rejects.toEqual(failure('PROBE_TIMEOUT', message));
    const [socket] = await accepted;
    await closed(socket);
  });

  test('that is aborted midway closes its socket', async () => {
    const server = createServer();
    const target = await serve(server);
    const abort = new AbortController();
    const probing = probes[name](target, { ...limits, signal: abort.signal });
    probing.catch(() => {});
    const [socket] = await once(server, 'connection');
    abort.abort();
    await expect(probing).rejects.toThrow('aborted');
    await closed(socket);
  });

  test('of a node that closes at once fails', async () => {
    const target = await serve(createServer((socket) => socket.end()));
    await expect(probes[name](target, limits)).rejects.toEqual(failure('PROBE_FAILED', expect.any(String)));
  });

  test('of a node that talks something else fails', async () => {
    const target = await serve(answering([0x53, 0x53, 0x48, 0x0d, 0x0a, 0x0d, 0x0a]));
    await expect(probes[name](target, limits)).rejects.toEqual(failure('PROBE_FAILED', expect.any(String)));
  });
});

async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket.resume(), 'close').catch(() => {});
  expect(socket.destroyed).toBe(true);
}

test('tcp probe passes when the node accepts, and resets the connection', async () => {
  const server = createServer();
  const target = await serve(server);
  const accepted = once(server, 'connection');
  await probes.tcp(target, limits);
  const [socket] = await accepted;
  await closed(socket);
});

describe('http probe', () => {
  test('passes on status 200 at its path, without reading an endless body', async () => {
    const asked: (string | undefined)[] = [];
    const target = await serveHttp(({ url }, response) => {
      asked.push(url);
      response.writeHead(200);
      const pour = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on('drain', pour);
      pour();
    });
    await probes.http(target, limits);
    expect(asked).toEqual(['/status']);
  });

  test.each([204, 404, 503])('fails on status %i', async (status) => {
    const target = await serveHttp((_, response) => response.writeHead(status).end());
    await expect(probes.http(target, limits)).rejects.toThrow(`): status ${status}`);
  });

  test('fails on a path that cannot be asked for', async () => {
    const target = await serveHttp((_, response) => response.end());
    const probing = probes.http({ ...target, path: '/a b' }, limits);
    await expect(probing).rejects.toEqual(
      failure('PROBE_FAILED', expect.stringContaining('ERR_UNESCAPED_CHARACTERS')),
    );
  });

  test('follows no redirect', async () => {
    let requests = 0;
    const target = await serveHttp((_, response) => {
      requests++;
      response.writeHead(302, { location: '/' }).end();
    });
    await expect(probes.http(target, limits)).rejects.toThrow('): status 302');
    expect(requests).toBe(1);
  });
});

describe('mqtt probe', () => {
  async function serveBroker(refusal?: number) {
    const broker = await Aedes.createBroker({
      authenticate: (_client, _username, _password, done) => {
        if (refusal === undefined) return done(null, true);
        done(Object.assign(new Error('refused'), { returnCode: refusal }) as AuthenticateError, false);
      },
    });
    cleanUp.push(() => new Promise<void>((done) => broker.close(done)));
    return { broker, target: await serve(createServer(broker.handle)) };
  }

  test('passes at a broker, recognisable, with a client id of 23 characters, and says goodbye', async () => {
    const { broker, target } = await serveBroker();
    const gone = once(broker, 'clientDisconnect');
    const errors: unknown[] = [];
    broker.on('clientError', (_, error) => errors.push(error));
    await probes.mqtt(target, limits);
    const [client] = await gone;
    expect(client.id).toMatch(/^breakwater-probe-[0-9a-z]{6}$/);
    expect(client.clean).toBe(true);
    expect(errors).toEqual([]);
  });

  test.each([4, 5])('passes at a broker that does not let it in (return code %i)', async (code) => {
    const { target } = await serveBroker(code);
    await expect(probes.mqtt(target, limits)).resolves.toBeUndefined();
  });

  test.each([1, 2])('passes at a broker that answers return code %i', async (code) => {
    const target = await serve(answering([0x20, 2, 0, code]));
    await expect(probes.mqtt(target, limits)).resolves.toBeUndefined();
  });

  test.each([3, 6, 0x88])('fails at a broker that answers return code %i', async (code) => {
    const target = await serve(answering([0x20, 2, 0, code]));
    await expect(probes.mqtt(target, limits)).rejects.toThrow(`): CONNACK return code ${code}`);
  });

  test('reads a CONNACK that comes byte by byte, and ignores what follows', async () => {
    const target = await serve(answering([0x20], [2], [0], [0], [0x30, 0, 0]));
    await expect(probes.mqtt(target, limits)).resolves.toBeUndefined();
  });

  test('passes when the broker closes right after its CONNACK', async () => {
    const target = await serve(createServer((socket) => socket.end(Uint8Array.of(0x20, 2, 0, 0))));
    await expect(probes.mqtt(target, limits)).resolves.toBeUndefined();
  });

  /** Whether a CONNECT is one that must be refused at once [MQTT-3.1.3-8]. */
  const asksForLife = (bytes: Buffer) => bytes.readUInt16BE(12) === 0;

  test('passes at a broker that lets nobody in for now, and gives a sign of life', async () => {
    const open = new Set<Socket>();
    const server = createServer((socket) => {
      open.add(socket.once('close', () => open.delete(socket)));
      socket.on('data', (bytes) => asksForLife(bytes) && socket.end(Uint8Array.of(0x20, 2, 0, 2)));
    });
    await probes.mqtt(await serve(server), { timeoutMs: 200 });
    await until(() => open.size === 0, 'every connection to be closed');
  });

  test('waits for an answer to the end where the broker closes what asks for a sign of life', async () => {
    let isAsked = false;
    const server = createServer((socket) =>
      socket.on('data', (bytes) => {
        if (!asksForLife(bytes))
          return until(() => isAsked, 'the other').then(() => socket.end(Uint8Array.of(0x20, 2, 0, 0)));
        isAsked = true;
        return socket.destroy();
      }),
    );
    await probes.mqtt(await serve(server), { timeoutMs: 1_000 });
  });

  test('fails when the broker closes before CONNACK', async () => {
    const target = await serve(createServer((socket) => socket.end()));
    await expect(probes.mqtt(target, limits)).rejects.toThrow(/closed before CONNACK|ECONNRESET|EPIPE/);
  });
});

describe('where a node is probed', () => {
  const node = { id: 'a', url: 'mqtt://10.0.0.1:1884' };

  test('at the node itself, at the path of its pool', () => {
    const expected = { nodeId: 'a', host: '10.0.0.1', port: 1884, path: '/health' };
    expect(probeTarget(node, '/health')).toEqual(expected);
  });

  test('at its probe URL, whose path goes first', () => {
    const at = (probeUrl: string) => probeTarget({ ...node, probeUrl }, '/health');
    expect(at('http://10.0.0.2:18083/status')).toMatchObject({
      host: '10.0.0.2',
      port: 18083,
      path: '/status',
    });
    expect(at('http://10.0.0.2:18083')).toMatchObject({ port: 18083, path: '/health' });
  });
});

describe('a sign of life', () => {
  const connectOf = (bytes: Buffer) => ({ idLength: bytes.readUInt16BE(12), flags: bytes[9] });

  test('is asked for by a CONNECT that a broker must refuse at once [MQTT-3.1.3-8]', async () => {
    const asked: Buffer[] = [];
    const server = createServer((socket) =>
      socket.on('data', (bytes) => {
        asked.push(bytes);
        socket.end(Uint8Array.of(0x20, 2, 0, 2));
      }),
    );
    await lifeProbe(await serve(server), limits);
    expect(asked.map(connectOf)).toEqual([{ idLength: 0, flags: 0 }]);
  });

  test('is given by a real broker that wants a password', async () => {
    const mosquitto = await startMosquitto({ config: 'password_file /dev/null', anonymous: false });
    const { port } = mosquitto;
    const probing = lifeProbe({ nodeId: 'm', host: '127.0.0.1', port, path: '/' }, limits);
    await expect(probing).resolves.toBeUndefined();
  });

  test('a broker that just closes is asked again as others ask', async () => {
    const asked: Buffer[] = [];
    const server = createServer((socket) =>
      socket.on('data', (bytes) => {
        asked.push(bytes);
        if (asked.length === 1) socket.destroy();
        else socket.end(Uint8Array.of(0x20, 2, 0, 0));
      }),
    );
    await lifeProbe(await serve(server), limits);
    expect(asked.map(connectOf)).toEqual([
      { idLength: 0, flags: 0 },
      { idLength: 23, flags: 2 },
    ]);
  });

  test.each([
    ['nobody answers', () => {}, 'PROBE_TIMEOUT'],
    ['it closes every time', (socket: Socket) => socket.end(), 'PROBE_FAILED'],
    [
      'it says that it does not serve',
      (socket: Socket) => socket.end(Uint8Array.of(0x20, 2, 0, 3)),
      'PROBE_FAILED',
    ],
  ])('is not given where %s', async (_, answer, code) => {
    const target = await serve(createServer((socket) => socket.once('data', () => answer(socket))));
    await expect(lifeProbe(target, { timeoutMs: 300 })).rejects.toMatchObject({ code });
  });
});

test('an answer that came while this thread was held up counts, though its time is over', async () => {
  const timeoutMs = 100;
  const server = createServer((socket) =>
    socket.on('data', () => {
      socket.write(Uint8Array.of(0x20, 2, 0, 2));
      for (const endsAtMs = performance.now() + 2 * timeoutMs; performance.now() < endsAtMs; );
    }),
  );
  await expect(lifeProbe(await serve(server), { timeoutMs })).resolves.toBeUndefined();
});
