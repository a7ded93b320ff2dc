import { randomInt } from 'node:crypto';
import { attempt, type Probe } from './probe.ts';
import { discard, open } from './socket.ts';

const DISCONNECT = Uint8Array.of(0xe0, 0);
const CONNACK_BYTES = 4;

/**
 * CONNACK return codes (MQTT 3.1.1, table 3.1) of a broker that serves. All but 0 are its word about this probe, which
 * has no password and speaks one version, not about the broker. 3, server unavailable, is absent.
 */
const SERVING: ReadonlySet<number> = new Set([0, 1, 2, 4, 5]);

/** The broker answers an MQTT 3.1.1 CONNECT. Its client id begins with `breakwater-probe-`, for the broker's logs and rules. */
export const mqttProbe: Probe = (target, limits) =>
  attempt('mqtt', target, limits, (settle) => {
    const probe = open(target, () => probe.socket.write(connectPacket()));
    const { socket } = probe;
    let answer = Buffer.alloc(0);
    let answered = false;
    const lost = (failure: Error) => settle(answered ? undefined : failure);
    socket.on('error', lost);
    socket.on('end', () => lost(new Error('closed before CONNACK')));
    socket.on('data', (bytes) => {
      if (answered) return;
      answer = Buffer.concat([answer, bytes.subarray(0, CONNACK_BYTES - answer.length)]);
      const verdict = judge(answer);
      if (verdict === 'incomplete') return;
      answered = true;
      if (verdict !== 'accepted') settle(verdict === 'serving' ? undefined : verdict);
      else socket.end(DISCONNECT, () => settle());
    });
    // After DISCONNECT an orderly close, because a reset could overtake it and look like a lost device.
    return () => (answered ? socket.destroy() : discard(probe));
  });

function judge(answer: Buffer): 'incomplete' | 'accepted' | 'serving' | Error {
  const isConnack = answer[0] === 0x20 && (answer[1] ?? 2) === 2;
  if (!isConnack) return new Error('the answer is not a CONNACK');
  const code = answer[3];
  if (code === undefined) return 'incomplete';
  if (code === 0) return 'accepted';
  return SERVING.has(code) ? 'serving' : new Error(`CONNACK return code ${code}`);
}

/**
 * CONNECT with clean session and a client id of its own, since two proxies with one client id would take over each
 * other's. The id has 23 characters, the most that every broker must allow [MQTT-3.1.3-5].
 */
function connectPacket(): Buffer {
  const clientId = `breakwater-probe-${randomInt(36 ** 6)
    .toString(36)
    .padStart(6, '0')}`;
  const header = [
    0x10,
    12 + clientId.length,
    0,
    4,
    ...Buffer.from('MQTT'),
    4,
    0x02,
    0,
    0,
    0,
    clientId.length,
  ];
  return Buffer.concat([Buffer.from(header), Buffer.from(clientId)]);
}
