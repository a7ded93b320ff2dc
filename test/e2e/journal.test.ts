import { beforeAll, expect, test } from 'vitest';
import type { ClientList, ClientView, StatusView } from '../../src/admin/backend.ts';
import type { ClientHistory, EventList, IncidentList, IncidentView } from '../../src/admin/journal-views.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { run } from '../support/cli.ts';
import { agree, startProxy } from '../support/cluster.ts';
import { clientIds, connectDevice, connectDevices, type Device } from '../support/devices.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { startRedis } from '../support/redis.ts';
import { until } from '../support/wait.ts';

/** Two proxies and three brokers: the tests of this file build on each other. */
const DEVICES = 100;
let proxies: Breakwater[] = [];
const brokers = new Map<string, Mosquitto>();
let devices: Device[] = [];

const first = (): Breakwater => proxies[0] as Breakwater;
const second = (): Breakwater => proxies[1] as Breakwater;
const historyOf = (proxy: Breakwater, id: string) =>
  proxy.api<ClientHistory>(`clients/${encodeURIComponent(id)}/history`);
const words = ({ entries }: ClientHistory) => entries.map(({ what }) => what);

beforeAll(async () => {
  const redis = await startRedis();
  for (const id of ['b1', 'b2', 'b3']) brokers.set(id, await startMosquitto());
  const pools = { default: { nodes: [...brokers].map(([id, { url }]) => ({ id, url })) } };
  proxies = await Promise.all(['p1', 'p2'].map((id) => startProxy(redis, id, { pools })));
  await agree(proxies, ['b1', 'b2', 'b3']);
  const sets = await Promise.all(
    proxies.map(({ port }, i) => connectDevices(port, clientIds(DEVICES / 2, `p${i + 1}-device`))),
  );
  devices = sets.flat();
});

/** What both proxies say of the loss of a node, once they know what became of so many devices. */
async function lossOf(node: string, count: number): Promise<IncidentView[]> {
  const ask = async (proxy: Breakwater) =>
    (await proxy.api<IncidentList>(`incidents?kind=node-lost&node=${node}`)).incidents;
  return Promise.all(
    proxies.map((proxy) =>
      until(async () => {
        const [incident, ...more] = await ask(proxy);
        expect(more).toEqual([]);
        const known = (incident?.moved ?? 0) + (incident?.disconnected ?? 0);
        return incident?.proxies.length === 2 && known >= count && incident;
      }, `${node} to be an incident of both proxies`),
    ),
  );
}

test('a node is killed under 100 devices: one incident with the same counts at both proxies', async () => {
  const nodes = await until(async () => {
    const all = await first().api<{ id: string; connections: number }[]>('nodes');
    return all.reduce((sum, { connections }) => sum + connections, 0) === DEVICES && all;
  }, 'the first proxy to have heard of the devices of the other');
  const at = nodes.find(({ id }) => id === 'b2')?.connections ?? 0;
  expect(at).toBeGreaterThan(10);
  brokers.get('b2')?.kill('SIGKILL');
  const [one, two] = await lossOf('b2', at);
  expect(one).toMatchObject({ node: 'b2', moved: at, failed: 0, disconnected: 0 });
  expect(one?.movedTo.reduce((sum, { count }) => sum + count, 0)).toBe(at);
  for (const { node } of one?.movedTo ?? []) expect(['b1', 'b3']).toContain(node);
  expect(one?.summary).toContain(`: ${at} sessions moved to b`);
  expect(one?.evidence).toBeDefined();
  expect({ ...two, to: undefined, cause: undefined, summary: '' }).toEqual({
    ...{ ...one, to: undefined, cause: undefined, summary: '' },
  });
  expect(devices.filter(({ socket }) => socket.closed)).toEqual([]);
});

test('a device that moved, changed the proxy and left: its history is the same at both proxies', async () => {
  const moved = await first().api<EventList>('events?since=2000-01-01T00:00:00Z&kind=move&limit=1');
  const [move] = moved.events;
  const clientId = String(move?.clientId);
  const device = devices.find((each) => each.clientId === clientId) as Device;
  const other = clientId.startsWith('p1') ? second() : first();
  device.socket.end(Buffer.from([0xe0, 0])); // DISCONNECT
  await until(async () => words(await historyOf(first(), clientId)).includes('ended'), 'its end');
  const again = await connectDevice(other.port, clientId);
  again.socket.end(Buffer.from([0xe0, 0]));
  const whole = ['connected', 'moved', 'ended', 'connected', 'ended'];
  const histories = await Promise.all(
    proxies.map((proxy) =>
      until(async () => {
        const history = await historyOf(proxy, clientId);
        return words(history).length === whole.length && history;
      }, `the history of ${clientId}`),
    ),
  );
  const [history] = histories as [ClientHistory];
  expect(words(history)).toEqual(whole);
  expect(histories[1]).toEqual(history);
  const [connected, gone, ended, , end] = history.entries;
  const proxy = clientId.startsWith('p1') ? 'p1' : 'p2';
  expect(connected).toMatchObject({ proxy, node: 'b2', protocolVersion: 4 });
  expect(connected?.remoteAddress).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(gone).toMatchObject({ proxy, from: 'b2', cause: 'link-lost', evidence: move?.evidence });
  expect(ended).toMatchObject({ proxy, reason: 'device-closed', connection: connected?.connection });
  expect(end?.proxy).not.toBe(proxy);
});

test('bytes and messages are counted while devices are connected, at the node that serves them', async () => {
  const counted = async (name: string) => {
    const text = await (await fetch(`${first().adminUrl}/metrics`)).text();
    const series = new RegExp(
      `^breakwater_${name}_total\\{listener="(.+)",node="(b[123])",direction="from_device"\\} (\\d+)$`,
      'gm',
    );
    const found = [...text.matchAll(series)].map(([, , node = '', count]) => [node, Number(count)] as const);
    return new Map(found);
  };
  const device = devices.find((each) => each.clientId.startsWith('p1') && !each.socket.destroyed) as Device;
  const { node } = await first().api<ClientView>(`clients/${device.clientId}`);
  const [bytes, publishes] = [await counted('bytes'), await counted('publishes')];
  const message = Buffer.from([0x30, 5, 0, 1, 0x74, 0x68, 0x69]); // PUBLISH 'hi' to 't'
  for (let i = 0; i < 10; i++) device.socket.write(message);
  const grown = (bytes.get(node) ?? 0) + 10 * message.length;
  await until(async () => ((await counted('bytes')).get(node) ?? 0) >= grown, `bytes at ${node}`);
  expect((await counted('publishes')).get(node)).toBe((publishes.get(node) ?? 0) + 10);
});

test('of a device that nobody has seen nothing is remembered', async () => {
  await expect(historyOf(first(), 'nobody')).rejects.toThrow('CLIENT_UNKNOWN');
});

interface Frame {
  readonly id: string;
  readonly type: string | undefined;
  readonly data: Record<string, unknown>;
}

/** Frames of a stream of events, until it is cancelled. */
async function stream(proxy: Breakwater, query: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${proxy.adminUrl}/api/v1/events?${query}`, {
    headers: { accept: 'text/event-stream', ...headers },
  });
  const reader = (response.body as ReadableStream<Uint8Array>)
    .pipeThrough(new TextDecoderStream())
    .getReader();
  let text = '';
  const frames = (): Frame[] =>
    [...text.matchAll(/^id: (\S+)\nevent: (\S+)\ndata: (.*)$/gm)].map(([, id = '', type, data = '']) => ({
      ...{ id, type },
      data: JSON.parse(data) as Record<string, unknown>,
    }));
  return {
    async until(count: number) {
      while (frames().length < count) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`the stream ended: ${text}`);
        text += value;
      }
      return frames();
    },
    /** The first that is so. */
    async find(isMeant: (frame: Frame) => boolean) {
      for (let count = 1; ; count++) {
        const found = (await this.until(count)).find(isMeant);
        if (found !== undefined) return found;
      }
    },
    cancel: () => reader.cancel(),
  };
}

test('a stream begins with what is kept, goes on with what happens, and after a reconnect misses nothing', async () => {
  const kinds = 'kind=audit';
  await first().api('nodes/b1', { method: 'PATCH', body: { weight: 11 } });
  const following = await stream(first(), `since=2000-01-01T00:00:00Z&${kinds}`);
  const [kept] = await following.until(1);
  expect(kept?.data).toMatchObject({ method: 'PATCH', node: 'b1', status: 200, by: 'local' });
  expect(kept?.data.remoteAddress).toBe('127.0.0.1');
  await first().api('nodes/b1', { method: 'PATCH', body: { weight: 12 } });
  const [, live] = await following.until(2);
  await following.cancel();
  for (const weight of [13, 14]) await first().api('nodes/b1', { method: 'PATCH', body: { weight } });
  const again = await stream(first(), kinds, { 'last-event-id': live?.id ?? '' });
  await first().api('nodes/b1', { method: 'PATCH', body: { weight: 10 } });
  const missed = await again.until(3);
  await again.cancel();
  const all = await first().api<EventList>(`events?since=2000-01-01T00:00:00Z&${kinds}`);
  expect([kept, live, ...missed].map((frame) => frame?.id)).toEqual(all.events.map(({ id }) => id));
});

test('what happens at one proxy is told to who follows at the other', async () => {
  const following = await stream(first(), 'kind=device');
  // Of single devices it tells from when it has heard that somebody follows.
  let probes = 0;
  let isHeard = false;
  const heard = following
    .find(({ data }) => data.proxy === 'p2')
    .then(() => {
      isHeard = true;
    });
  await until(async () => {
    if (!isHeard) (await connectDevice(second().port, `probe-${probes++}`)).socket.destroy();
    return isHeard;
  }, 'an event of the other');
  await heard;
  const device = await connectDevice(second().port, 'elsewhere');
  const isOf = (type: string) => (frame: Frame) => frame.type === type && frame.data.clientId === 'elsewhere';
  const placed = await following.find(isOf('placed'));
  expect(placed.data.proxy).toBe('p2');
  device.socket.end(Buffer.from([0xe0, 0])); // DISCONNECT
  const ended = await following.find(isOf('ended'));
  await following.cancel();
  expect(ended).toMatchObject({ type: 'ended', data: { proxy: 'p2', reason: 'device-closed' } });
  const again = await stream(first(), 'kind=device&client=elsewhere', { 'last-event-id': placed.id });
  expect((await again.until(1))[0]).toEqual(ended);
  await again.cancel();
});

test('the devices of both proxies, page by page: each once', async () => {
  const whole = await first().api<ClientList>('clients?limit=1000');
  const seen: string[] = [];
  let next: string | undefined = '';
  while (next !== undefined) {
    const after: string = next === '' ? '' : `&after=${encodeURIComponent(next)}`;
    const page: ClientList = await second().api(`clients?limit=7${after}`);
    seen.push(...page.clients.map(({ clientId }) => clientId));
    next = page.next;
  }
  expect(seen).toEqual(whole.clients.map(({ clientId }) => clientId));
  const address = `#${whole.clients[6]?.connection}@${whole.clients[6]?.proxy}`;
  const args = ['client', 'list', '--limit', '7', '--after', address];
  const listed = await run([...args, '--json', '--admin', first().adminUrl]);
  expect((JSON.parse(listed.stdout) as ClientList).clients.map(({ clientId }) => clientId)).toEqual(
    seen.slice(7, 14),
  );
  await expect(first().api('clients?after=nonsense')).rejects.toThrow('#17@edge-1');
});

test('who did what is known at the other proxy too, of devices by their ids', async () => {
  const target = devices.find(({ clientId }) => clientId.startsWith('p2'))?.clientId ?? '';
  await second().api(`clients/${target}`, { method: 'DELETE' });
  const { events, missing } = await first().api<EventList>(
    `events?since=2000-01-01T00:00:00Z&kind=audit&client=${target}`,
  );
  expect(missing).toEqual([]);
  expect(events).toMatchObject([{ proxy: 'p2', method: 'DELETE', clientId: target, status: 204 }]);
});

test('the command line tells all of it', async () => {
  const tell = (...args: string[]) => run([...args, '--admin', second().adminUrl]);
  const incidents = await tell('incidents', '--node', 'b2');
  expect(incidents.stdout).toMatch(/node-lost .*b2 lost at .* sessions moved to /);
  const events = await tell('events', '--since', '1h', '--kind', 'audit');
  expect(events.stdout).toMatch(/^\d{4}-\S+Z {2}admin +.*method=PATCH .*by=local/m);
  const moves = await second().api<EventList>('events?since=2000-01-01T00:00:00Z&kind=move&limit=1');
  const history = await tell('client', 'history', String(moves.events[0]?.clientId));
  expect(history.stdout).toMatch(/moved +b2 → b[13] +link-lost, /);
  await expect(second().api('events?kind=nonsense')).rejects.toThrow('audit');
});

test('a proxy that is killed is missed by the other, with the devices that it had', async () => {
  const lost = async () => (await first().api<StatusView>('status')).lostProxies;
  expect(await lost()).toEqual([]);
  second().kill('SIGKILL');
  const [missed] = await until(async () => {
    const all = await lost();
    return all.length > 0 && all;
  }, 'the loss of p2');
  expect(missed).toMatchObject({ id: 'p2', connections: expect.any(Number) });
  const { incidents } = await first().api<IncidentList>('incidents?kind=proxy-lost');
  expect(incidents).toMatchObject([
    { summary: expect.stringMatching(/^proxy p2 vanished at .* devices were there$/) },
  ]);
  const { code, stdout } = await run(['status', '--admin', first().adminUrl]);
  expect([code, stdout]).toEqual([1, expect.stringContaining('! proxy p2 has vanished')]);
});
