import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameReader } from '../../../../src/connection/websocket/frame-reader.ts';
import { cut, deviceFrame } from './frames.ts';

interface Heard {
  readonly data: string;
  /** Of each read the last. */
  readonly pings: readonly string[];
  readonly close: string | undefined;
  readonly fault: number;
  /** Pieces of payload that were given out. */
  readonly pieces: number;
}

function readAll(chunks: readonly Buffer[]): Heard {
  const reader = new FrameReader();
  const pings: string[] = [];
  let close: string | undefined;
  let data = '';
  let pieces = 0;
  for (const chunk of chunks) {
    if (reader.fault !== 0 || close !== undefined) break;
    const end = reader.read(chunk, 0, chunk.length);
    data += chunk.toString('latin1', reader.from, reader.to);
    if (reader.to > reader.from) pieces++;
    if (reader.ping !== undefined) pings.push(textOf(reader.ping));
    if (reader.close !== undefined) close = textOf(reader.close);
    else if (reader.fault === 0) expect(end).toBe(chunk.length);
  }
  return { data, pings, close, fault: reader.fault, pieces };
}

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
const bytesOf = (text: string) => Buffer.from(text, 'latin1');
const payload = fc.uint8Array({ maxLength: 80 });
const sized = fc.oneof(
  payload,
  fc.constantFrom(0, 125, 126, 127, 65_535, 65_536).map((size) => Buffer.alloc(size, size)),
);
const control = fc.record({ kind: fc.constantFrom(9, 10), payload: fc.uint8Array({ maxLength: 125 }) });
/** A message: its fragments, and the control frames that stand before each. */
const message = fc.array(fc.record({ payload: sized, controls: fc.array(control, { maxLength: 2 }) }), {
  minLength: 1,
  maxLength: 4,
});

test('reads any fragments and control frames, cut anywhere', () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 6 }),
      fc.array(fc.nat(300_000), { maxLength: 20 }),
      (messages, cuts) => {
        const frames: Buffer[] = [];
        const pings: string[] = [];
        for (const fragments of messages) {
          for (const [i, fragment] of fragments.entries()) {
            for (const each of fragment.controls) {
              frames.push(deviceFrame(each.kind, each.payload));
              if (each.kind === 9) pings.push(textOf(each.payload));
            }
            frames.push(deviceFrame(i === 0 ? 2 : 0, fragment.payload, i === fragments.length - 1));
          }
        }
        const data = messages.flat().map((each) => Buffer.from(each.payload).toString('latin1'));
        const heard = readAll(cut(Buffer.concat(frames), cuts));
        expect(heard).toMatchObject({ data: data.join(''), fault: 0, close: undefined });
        expect(heard.pings.at(-1)).toBe(pings.at(-1));
      },
    ),
    { numRuns: 300 },
  );
});

test('reads one byte at a time, also of a long length', () => {
  const bytes = Buffer.concat([
    deviceFrame(2, bytesOf('CONN'), false),
    deviceFrame(9, bytesOf('are you there')),
    deviceFrame(0, bytesOf('ECT'), true),
    deviceFrame(2, Buffer.alloc(70_000, 'x')),
    deviceFrame(8, Buffer.of(3, 232)),
  ]);
  const inside = (at: number) => at > 100 && at < bytes.length - 100; // of the long payload
  const places = [...bytes.keys()].filter((at) => !inside(at) || at % 997 === 0);
  const heard = readAll(cut(bytes, places));
  expect(heard.data).toBe(`CONNECT${'x'.repeat(70_000)}`);
  expect(heard).toMatchObject({ pings: ['are you there'], close: '\x03\xe8' });
  expect(heard.fault).toBe(0);
});

test('many small frames of one read are one piece, whatever pings are between them', () => {
  const frames = Array.from({ length: 50 }, (_, i) => deviceFrame(2, bytesOf(`${i},`)));
  const mixed = frames.flatMap((frame, i) => [frame, deviceFrame(9 + (i % 2), bytesOf(`${i}`))]);
  const { pieces, data, pings } = readAll([Buffer.concat(mixed)]);
  expect(pieces).toBe(1);
  expect(pings).toEqual(['48']);
  expect(data.split(',')).toHaveLength(51);
});

test.each<[string, number, Buffer]>([
  ['an unmasked frame', 1002, Buffer.of(0x82, 1, 0x10)],
  ['a text frame [MQTT-6.0.0-1]', 1003, deviceFrame(1, bytesOf('x'))],
  ['a reserved bit: no extension was agreed on', 1002, Buffer.of(0xc2, 0x80, 0, 0, 0, 0)],
  ['an unknown data frame', 1002, Buffer.of(0x83, 0x80, 0, 0, 0, 0)],
  ['an unknown control frame', 1002, Buffer.of(0x8b, 0x80, 0, 0, 0, 0)],
  ['a control frame in fragments', 1002, Buffer.of(0x09, 0x80, 0, 0, 0, 0)],
  ['a control frame of more than 125 bytes', 1002, Buffer.of(0x89, 0xfe, 0, 126)],
  ['a continuation of nothing', 1002, deviceFrame(0, bytesOf('x'))],
  [
    'a message within a message',
    1002,
    Buffer.concat([deviceFrame(2, bytesOf('a'), false), deviceFrame(2, bytesOf('b'))]),
  ],
  ['a frame larger than any packet', 1009, Buffer.of(0x82, 0xff, 0, 0, 0, 0, 0x10, 0, 0, 5)],
  ['a frame of 2^63 bytes', 1009, Buffer.of(0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0)],
])('refuses %s with %i', (_what, code, bytes) => {
  const good = deviceFrame(2, bytesOf('good'));
  const all = Buffer.concat([good, bytes, good]);
  for (const chunks of [[all], cut(all, [...all.keys()])]) {
    const heard = readAll(chunks);
    expect(heard.fault).toBe(code);
    expect(heard.data).toMatch(/^gooda?$/);
  }
});

test('garbage never throws, and never becomes more than it was', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.array(fc.nat(400), { maxLength: 8 }),
      (garbage, cuts) => {
        const bytes = Buffer.from(garbage);
        expect(readAll(cut(bytes, cuts)).data.length).toBeLessThanOrEqual(bytes.length);
      },
    ),
    { numRuns: 2_000 },
  );
});
