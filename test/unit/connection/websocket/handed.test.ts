import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readHandedConnection } from '../../../../src/connection/handed.ts';
import { HANDED_VERSION } from '../../../../src/connection/handed-version.ts';
import { FrameReader } from '../../../../src/connection/websocket/frame-reader.ts';
import { WebSocketLayer } from '../../../../src/connection/websocket/layer.ts';
import type { Wire, WireEvents } from '../../../../src/connection/wire.ts';
import { cut, deviceFrame } from './frames.ts';

const peer = { remoteAddress: '10.0.0.1', remotePort: 40_000 };
const terms = { path: '/mqtt' };
const hook = () => ({ headers: [['Set-Cookie', 'node=a'] as const], preferredNode: 'a' });
const REQUEST = Buffer.from(
  [
    'GET /mqtt HTTP/1.1',
    ...['Host: a', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'],
    ...['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Protocol: mqtt', '', ''],
  ].join('\r\n'),
  'latin1',
);

/** A layer on a stage: what the engine and the connection are told, all bytes in hexadecimal. */
class Stage {
  lines: string[] = [];
  handed = 0;
  layer: WebSocketLayer;
  private readonly wire: Wire;
  private readonly conversation: WireEvents;

  constructor() {
    const note = (name: string) => {
      return (...args: readonly unknown[]): void => {
        const [first, second, start, end] = args;
        const bytes = [first, second].find((arg) => arg instanceof Uint8Array);
        const at = bytes === first ? [second, start] : [start, end];
        const shown = bytes && Buffer.from(bytes.slice(at[0] as number, at[1] as number)).toString('hex');
        this.lines.push(`${name} ${bytes === undefined ? args.join(' ') : shown}`);
      };
    };
    const all = (names: string) => Object.fromEntries(names.split(' ').map((name) => [name, note(name)]));
    this.wire = {
      ...all('toDevice toNode splice holdDevice holdNode nextTurn endDevice finishNode endNode setTimer'),
      ...{
        dial: () => 0,
        isDeviceBehind: () => false,
        stillTakes: () => false,
        numbered: () => {},
        countAt: () => {},
      },
    } as unknown as Wire;
    this.conversation = all(
      'deviceData deviceEnded linkOpened linkFailed linkData linkEnded timer closed',
    ) as unknown as WireEvents;
    this.layer = new WebSocketLayer(this.wire, peer, terms, hook);
    this.layer.carry(this.conversation);
  }

  handOver(): void {
    const inner = { phase: 'greeting', held: new Uint8Array(0) } as const;
    const described = this.layer.describe({
      version: HANDED_VERSION,
      kind: 'mqtt',
      reason: undefined,
      state: inner,
    });
    if (described === undefined) return;
    const handed = readHandedConnection(structuredClone(described));
    if (handed.kind !== 'websocket') throw new Error(handed.kind);
    this.handed++;
    this.layer = WebSocketLayer.revive(this.wire, peer, terms, hook, handed);
    this.layer.carry(this.conversation);
  }

  /** As an engine does, whose buffer is used again. */
  says(piece: Buffer): void {
    const scratch = Buffer.concat([Buffer.from('<<'), piece, Buffer.from('>>')]);
    this.layer.deviceData(scratch, 2, 2 + piece.length);
    scratch.fill(0xee);
  }

  seen(): unknown {
    return [this.lines.splice(0), this.layer.peer.request];
  }
}

const payload = fc.uint8Array({ maxLength: 200 });
const control = fc.uint8Array({ maxLength: 125 });
const frame = fc.oneof(
  { weight: 6, arbitrary: payload.map((bytes) => deviceFrame(2, bytes)) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(payload, payload)
      .map(([first, rest]) => Buffer.concat([deviceFrame(2, first, false), deviceFrame(0, rest)])),
  },
  { weight: 2, arbitrary: control.map((bytes) => deviceFrame(9, bytes)) },
  { weight: 1, arbitrary: control.map((bytes) => deviceFrame(10, bytes)) },
  { weight: 1, arbitrary: fc.nat(70_000).map((size) => deviceFrame(2, Buffer.alloc(size, 7))) },
);
const end = fc.constantFrom(
  ...[
    Buffer.alloc(0),
    deviceFrame(8, Buffer.of(3, 232)),
    deviceFrame(1, Buffer.from('text')),
    Buffer.of(2, 1),
  ],
);

test('a WebSocket that another process goes on with says the same, wherever its request and frames are cut', () => {
  let handed = 0;
  fc.assert(
    fc.property(
      ...[fc.array(frame, { maxLength: 12 }), end, fc.array(fc.nat(), { maxLength: 30 })],
      fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
      fc.nat(20),
      (frames, last, places, hands, spliceAt) => {
        const pieces = cut(Buffer.concat([REQUEST, ...frames, last]), places);
        const [stays, travels] = [new Stage(), new Stage()];
        for (const [index, piece] of pieces.entries()) {
          if (hands[index]) travels.handOver();
          for (const { layer } of [stays, travels]) {
            if (index === spliceAt) layer.splice(3);
            const answer = Buffer.from('from the node');
            layer.linkData(3, answer, 0, answer.length);
            layer.toDevice(answer, 5, answer.length);
          }
          stays.says(piece);
          travels.says(piece);
          expect(travels.seen()).toEqual(stays.seen());
        }
        for (const { layer } of [stays, travels]) layer.linkEnded(3, 'fin');
        expect(travels.seen()).toEqual(stays.seen());
        handed += travels.handed;
      },
    ),
    { numRuns: 500 },
  );
  expect(handed).toBeGreaterThan(500);
});

test('one that closes, or was refused, does not go', () => {
  for (const ending of [deviceFrame(8, Buffer.of(3, 232)), deviceFrame(1, Buffer.from('text'))]) {
    const stage = new Stage();
    stage.says(REQUEST);
    stage.says(ending);
    stage.handOver();
    expect(stage.handed).toBe(0);
  }
  const refused = new Stage();
  refused.says(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  refused.handOver();
  expect(refused.handed).toBe(0);
});

test('a reader that cannot be is refused', () => {
  const described = (changes: object) => {
    const stage = new Stage();
    stage.says(REQUEST);
    const inner = { phase: 'greeting', held: new Uint8Array(0) } as const;
    const value = stage.layer.describe({
      version: HANDED_VERSION,
      kind: 'mqtt',
      reason: undefined,
      state: inner,
    });
    return { ...value, reader: { ...value?.reader, ...changes } };
  };
  expect(readHandedConnection(described({}))).toMatchObject({ kind: 'websocket' });
  for (const changes of [
    ...[{ expects: 5 }, { expects: 3, missing: 0 }, { done: 1 }, { expects: 4, length: 268_435_461 }],
    ...[{ payload: new Uint8Array(126) }, { key: 2 ** 31 }, { more: 1 }],
  ])
    expect(() => readHandedConnection(described(changes))).toThrow("at 'reader'");
});

test('no field of a WebSocket is forgotten between two processes', () => {
  const goes = 'peer head reader spliced pongsWaiting endTold isLeft lastWordSent';
  const given = 'wire terms hook conversation';
  expect(Object.keys(new Stage().layer).sort()).toEqual(`${goes} ${given}`.split(' ').sort());
  const reader = 'expects flags missing length key done payload isMidMessage';
  const ofOneRead = 'from to close ping fault';
  expect(Object.keys(new FrameReader()).sort()).toEqual(`${reader} ${ofOneRead}`.split(' ').sort());
});
