import fc from 'fast-check';
import { expect, test } from 'vitest';
import { WebSocketLayer } from '../../../../src/connection/websocket/layer.ts';
import { WebSocketPeer } from '../../../../src/connection/websocket/peer.ts';
import type { UpgradeHook } from '../../../../src/connection/websocket/upgrade.ts';
import type { EndCause, Link, PeerTls, Wire, WireEvents } from '../../../../src/connection/wire.ts';
import { cut, deviceFrame, messagesIn } from './frames.ts';

const peer = { remoteAddress: '10.0.0.1', remotePort: 40_000 };
const REQUEST = [
  'GET /mqtt HTTP/1.1',
  ...['Host: a', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'],
  ...['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Protocol: mqtt', '', ''],
].join('\r\n');

const text = (bytes: Uint8Array, start: number, end: number) =>
  Buffer.from(bytes.slice(start, end)).toString('latin1');

/** A layer on a stage: the test plays engine, device and connection. What each is told are lines of text. */
class Scene implements Wire, WireEvents {
  readonly lines: string[] = [];
  readonly layer: WebSocketLayer;
  isBehind = false;
  onData = (): void => {};
  private sent = Buffer.alloc(0);

  constructor(upgraded = true, hook?: UpgradeHook) {
    this.layer = new WebSocketLayer(this, peer, { path: '/mqtt' }, hook);
    this.layer.carry(this);
    if (!upgraded) return;
    this.says(REQUEST);
    expect(this.response()).toMatch(/^HTTP\/1\.1 101 /);
  }

  // the engine's side
  says(bytes: Buffer | string): void {
    const copy = Buffer.from(bytes as string, 'latin1');
    this.layer.deviceData(copy, 0, copy.length);
  }
  nodeSays(what: string): void {
    const bytes = Buffer.from(what, 'latin1');
    this.layer.linkData(0, bytes, 0, bytes.length);
  }
  response(): string {
    const all = this.sent.toString('latin1');
    const end = all.indexOf('\r\n\r\n') + 4;
    this.sent = this.sent.subarray(end);
    return all.slice(0, end);
  }
  /** What the device has got since it was asked last. */
  async got(): Promise<string[]> {
    const { sent } = this;
    this.sent = Buffer.alloc(0);
    return messagesIn(sent);
  }
  told(): string[] {
    return this.lines.splice(0);
  }

  // Wire
  holdNode(link: Link, hold: boolean): void {
    this.lines.push(`hold link ${link} ${hold}`);
  }
  countAt(place: number): void {
    this.lines.push(`count at ${place}`);
  }

  numbered(connection: number): void {
    this.lines.push(`number ${connection}`);
  }
  guard<T>(run: () => T): T {
    return run();
  }
  nextTurn(): void {
    this.lines.push('next turn');
  }
  toDevice(bytes: Uint8Array, start: number, end: number): void {
    this.sent = Buffer.concat([this.sent, bytes.slice(start, end)]);
  }
  toNode(link: Link, bytes: Uint8Array, start: number, end: number): void {
    this.lines.push(`to node ${link} ${text(bytes, start, end)}`);
  }
  dial(): Link {
    return 0;
  }
  splice(): void {
    throw new Error('every byte must be framed');
  }
  isDeviceBehind(): boolean {
    return this.isBehind;
  }
  stillTakes(): boolean {
    return this.isBehind;
  }
  holdDevice(hold: boolean): void {
    this.lines.push(`hold ${hold}`);
  }
  endDevice(how: 'flush' | 'reset'): void {
    this.lines.push(`end device ${how}`);
  }
  finishDevice(): void {
    this.lines.push('finish device');
  }
  finishNode(link: Link): void {
    this.lines.push(`finish node ${link}`);
  }
  endNode(link: Link, how: 'flush' | 'reset'): void {
    this.lines.push(`end node ${link} ${how}`);
  }
  setTimer(ms: number): void {
    this.lines.push(`timer ${ms}`);
  }

  // WireEvents
  deviceData(bytes: Uint8Array, start: number, end: number): void {
    this.lines.push(`data ${text(bytes, start, end)}`);
    this.onData();
  }
  deviceEnded(cause: EndCause): void {
    this.lines.push(`ended ${cause}`);
  }
  linkOpened(link: Link): void {
    this.lines.push(`opened ${link}`);
  }
  linkFailed(link: Link, reason: string): void {
    this.lines.push(`failed ${link} ${reason}`);
  }
  linkData(link: Link, bytes: Uint8Array, start: number, end: number): void {
    this.lines.push(`from node ${link} ${text(bytes, start, end)}`);
  }
  linkEnded(link: Link, cause: EndCause): void {
    this.lines.push(`link ${link} ${cause}`);
  }
  timer(): void {
    this.lines.push('timer');
  }
  closed(from: number, to: number): void {
    this.lines.push(`closed ${from} ${to}`);
  }
}

const binary = (data: string) => deviceFrame(2, Buffer.from(data, 'latin1'));
const close = (code: number) => deviceFrame(8, Buffer.of(code >> 8, code & 0xff));

test('the request may come in any pieces, with frames behind it', () => {
  const whole = Buffer.concat([Buffer.from(REQUEST), binary('CONN'), binary('ECT')]);
  fc.assert(
    fc.property(fc.array(fc.nat(whole.length)), (cuts) => {
      const scene = new Scene(false);
      for (const piece of cut(whole, cuts)) scene.says(piece);
      const data = scene.told().map((line) => line.replace('data ', ''));
      expect(data.join('')).toBe('CONNECT');
      expect(scene.layer.peer.request).toEqual({ path: '/mqtt', host: 'a' });
    }),
  );
});

test.each([
  ['MQTT', '\x10\x0c', 400],
  ['a head without end', `GET /mqtt HTTP/1.1\r\nA: ${'a'.repeat(16_400)}`, 431],
  ['a head that is long', `GET /mqtt HTTP/1.1\r\nHost: a\r\nA: ${'a'.repeat(16_400)}\r\n\r\n`, 431],
  ['no HTTP', 'HELLO\r\n\r\n', 400],
  ['another path', REQUEST.replace('/mqtt', '/'), 404],
])('%s is answered, and ends', (_what, bytes, status) => {
  const scene = new Scene(false);
  scene.says(bytes);
  expect(scene.response()).toContain(`HTTP/1.1 ${status} `);
  scene.says(REQUEST); // nobody listens any more
  expect(scene.told()).toEqual(['ended websocket']);
  scene.layer.endDevice('flush');
  expect(scene.told()).toEqual(['end device flush']);
});

test('the peer is as the engine has it, with the request', () => {
  const tls: PeerTls = {
    ...{ version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', serverName: 'a', alpn: 'http/1.1' },
    clientCertificateCn: 'meter-1',
  };
  const whole = { ...peer, destination: { address: '10.0.0.2', port: 8084 }, tlvs: [], tls };
  const seen = new WebSocketPeer(whole);
  for (const [field, value] of Object.entries(whole)) expect(seen[field as keyof typeof whole]).toBe(value);
});

test('a pool may choose a node before the answer, and say so in it', () => {
  const scene = new Scene(false, ({ remoteAddress, request }, cookie) => ({
    headers: [['Set-Cookie', `${remoteAddress} ${request?.path} ${cookie}`]],
    preferredNode: 'n2',
  }));
  scene.says(REQUEST.replace('Host: a', 'Host: a\r\nCookie: b=1'));
  expect(scene.response()).toContain('\r\nSet-Cookie: 10.0.0.1 /mqtt b=1\r\n');
  expect(scene.layer.peer.request?.preferredNode).toBe('n2');
});

test('each write is one frame, and nothing is said before the upgrade or behind a close frame', async () => {
  const early = new Scene(false);
  early.layer.toDevice(Buffer.from('x'), 0, 1);
  expect(await early.got()).toEqual([]);
  const scene = new Scene();
  scene.layer.toDevice(Buffer.from('-CONNACK-'), 1, 8);
  scene.layer.toDevice(Buffer.from('x'), 0, 0);
  scene.layer.endDevice('flush');
  scene.layer.toDevice(Buffer.from('late'), 0, 4);
  expect(await scene.got()).toEqual(['binary CONNACK', 'close 1000']);
  expect(scene.told()).toEqual(['end device flush']);
});

test('pings are answered, of several the last; those of a device that does not read up to a bound', async () => {
  const scene = new Scene();
  scene.says(deviceFrame(9, Buffer.from('1')));
  scene.says(
    Buffer.concat([deviceFrame(9, Buffer.from('2')), binary('x'), deviceFrame(9, Buffer.from('3'))]),
  );
  scene.says(deviceFrame(10, Buffer.from('unasked')));
  expect(await scene.got()).toEqual(['pong 1', 'pong 3']);
  expect(scene.told()).toEqual(['data x']);
  scene.isBehind = true;
  for (let i = 0; i < 1_000; i++) scene.says(deviceFrame(9, Buffer.from('x')));
  expect((await scene.got()).length).toBe(16);
  scene.isBehind = false;
  scene.says(deviceFrame(9, Buffer.from('again')));
  expect(await scene.got()).toEqual(['pong again']);
});

test.each([
  [close(1000), 'close 1000'],
  [close(4999), 'close 4999'],
  [deviceFrame(8, Buffer.alloc(0)), 'close 1005'],
  [deviceFrame(8, Buffer.from('\x03\xe9going', 'latin1')), 'close 1001'],
])('a close frame ends the device, and is answered with its code', async (frame, answer) => {
  const scene = new Scene();
  scene.says(Buffer.concat([binary('DISCONNECT'), frame, binary('late')]));
  expect(scene.told()).toEqual(['data DISCONNECT', 'ended fin', 'end device flush']);
  expect(await scene.got()).toEqual([answer]);
  scene.layer.deviceEnded('fin');
  scene.layer.deviceEnded('reset');
  expect(scene.told()).toEqual([]);
});

test.each([
  ['an unknown code', close(1005), 1002],
  ['a reason that is no UTF-8', deviceFrame(8, Buffer.from('\x03\xe9\xc3', 'latin1')), 1007],
  ['half a code', deviceFrame(8, Buffer.of(3)), 1002],
  ['text', deviceFrame(1, Buffer.from('hi')), 1003],
])('%s is answered with a close code', async (_what, frame, code) => {
  const scene = new Scene();
  scene.says(Buffer.concat([binary('before'), frame]));
  expect(scene.told()).toEqual(['data before', 'ended websocket']);
  expect(await scene.got()).toEqual([`close ${code}`]);
});

test('a reset does not overtake a close frame, but comes when its time is over', () => {
  const scene = new Scene();
  scene.says(close(1000));
  scene.told();
  scene.layer.setTimer(0);
  scene.layer.endDevice('reset');
  expect(scene.told()).toEqual(['timer 0', 'timer 2000', 'end device flush']);
  scene.layer.timer();
  scene.layer.endDevice('reset');
  expect(scene.told()).toEqual(['timer', 'end device reset']);
});

test('a device that was not spoken to is reset', () => {
  const scene = new Scene();
  scene.layer.endDevice('reset');
  scene.says(binary('late'));
  expect(scene.told()).toEqual(['end device reset']);
});

test('what comes behind the end that the connection has made is not told', () => {
  const scene = new Scene();
  scene.onData = () => scene.layer.endDevice('flush');
  scene.says(Buffer.concat([binary('first'), deviceFrame(9, Buffer.of())]));
  scene.says(binary('second'));
  expect(scene.told()).toEqual(['data first', 'end device flush']);
});

test('spliced, it relays both ways, and a close frame reaches the node as an end behind the last byte', async () => {
  const scene = new Scene();
  scene.layer.splice(0);
  scene.says(binary('PUBLISH'));
  scene.nodeSays('PUBACK');
  scene.says(Buffer.concat([binary('DISCONNECT'), close(1000)]));
  expect(scene.told()).toEqual([
    'to node 0 PUBLISH',
    'to node 0 DISCONNECT',
    ...['end node 0 flush', 'end device flush', 'ended fin'],
  ]);
  expect(await scene.got()).toEqual(['binary PUBACK', 'close 1000']);
});

test.each(['reset', 'timeout', 'error', 'tls'] as const)('spliced, a %s resets the node', (cause) => {
  const scene = new Scene();
  scene.layer.splice(0);
  scene.layer.deviceEnded(cause);
  expect(scene.told()).toEqual(['end node 0 reset', 'end device flush', `ended ${cause}`]);
});

test.each([
  ['fin', 1000],
  ['reset', 1011],
] as const)('spliced, the node’s %s closes the device with %i', async (cause, code) => {
  const scene = new Scene();
  scene.layer.splice(0);
  scene.nodeSays('DISCONNECT');
  scene.layer.linkEnded(0, cause);
  expect(scene.told()).toEqual(['end device flush', 'end node 0 flush', `link 0 ${cause}`]);
  expect(await scene.got()).toEqual(['binary DISCONNECT', `close ${code}`]);
});

test('the end of a node that may still read is a close frame; what the device says before its own is heard', async () => {
  const scene = new Scene();
  scene.layer.finishDevice();
  scene.layer.toDevice(Buffer.from('late'), 0, 4);
  scene.says(Buffer.concat([binary('PUBLISH'), close(1000)]));
  expect(scene.told()).toEqual(['data PUBLISH', 'ended fin', 'end device flush']);
  expect(await scene.got()).toEqual(['close 1000']);
});

test('an end from before the splice is carried over by it', () => {
  const scene = new Scene();
  scene.says(Buffer.concat([binary('CONNECT'), close(1000)]));
  scene.layer.splice(0);
  expect(scene.told()).toEqual([
    ...['data CONNECT', 'ended fin', 'end device flush'],
    ...['end node 0 flush', 'end device flush'],
  ]);
});

test('links, timer and the last call pass through', () => {
  const stage = new Scene();
  stage.layer.linkOpened(0);
  stage.layer.linkFailed(0, 'ECONNREFUSED');
  stage.nodeSays('CONNACK');
  stage.layer.linkEnded(0, 'reset');
  stage.layer.holdDevice(true);
  stage.layer.toNode(1, Buffer.from('abc'), 1, 2);
  stage.layer.finishNode(1);
  stage.layer.endNode(1, 'reset');
  stage.layer.timer();
  stage.layer.closed(3, 4);
  expect(stage.told()).toEqual([
    ...['opened 0', 'failed 0 ECONNREFUSED', 'from node 0 CONNACK', 'link 0 reset', 'hold true'],
    ...['to node 1 b', 'finish node 1', 'end node 1 reset', 'timer', 'closed 3 4'],
  ]);
});
