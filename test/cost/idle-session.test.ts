import { expect, test } from 'vitest';
import { decodeConnect } from '../../src/protocol/mqtt/connect.ts';
import { Session } from '../../src/session/index.ts';
import { usedBytes } from '../support/used-bytes.ts';
import { bytesOf } from '../unit/session/packet-text.ts';
import { options } from '../unit/session/transcript.ts';

const SESSIONS = 5_000;
/** Others that share this heap, such as the compiler, may take some of it in one round, and hardly in each. */
const ROUNDS = 3;
/** Less than what an idle session may cost in all (1 kB), because the connection around it needs some of that. */
const MOST_BYTES = 700;

const output = { toNode() {}, toDevice() {}, event() {}, isDeviceBehind: () => false };
const connack = bytesOf('CONNACK', 4);
const subscribe = bytesOf('SUBSCRIBE #1 cmd/all/#:0 cmd/one/+:1', 4);
const suback = bytesOf('SUBACK #1 0 1', 4);

function idle(index: number): Session {
  const raw = bytesOf(`CONNECT id=device-${index} clean keepalive=60`, 4);
  const result = decodeConnect(raw, 0, raw.length, 1024);
  if (result.kind !== 'connect') throw new Error('not a CONNECT');
  const session = new Session(result.connect, raw, options, output);
  session.connectPacket();
  session.fromNode(connack, 0, connack.length);
  session.fromDevice(subscribe, 0, subscribe.length);
  session.fromNode(suback, 0, suback.length);
  return session;
}

test('an idle session with two subscriptions is remembered in a few hundred bytes', () => {
  const sessions = Array.from({ length: (ROUNDS + 1) * SESSIONS }, () => undefined as Session | undefined);
  const open = (from: number) => {
    for (let index = from; index < from + SESSIONS; index++) sessions[index] = idle(index);
  };
  open(0); // warms up
  const rounds = Array.from({ length: ROUNDS }, (_, round) => {
    const before = usedBytes();
    open((round + 1) * SESSIONS);
    return (usedBytes() - before) / SESSIONS;
  });
  expect(sessions.at(-1)?.facts.subscriptions).toBe(2);
  const bytes = Math.min(...rounds);
  expect(bytes).toBeGreaterThan(100);
  expect(bytes).toBeLessThan(MOST_BYTES);
  for (const session of sessions) session?.wipe();
});
