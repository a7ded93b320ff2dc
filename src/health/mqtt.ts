/** The probe that asks a broker for an answer in MQTT. */

import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { attempt, type Probe, type ProbeLimits, type ProbeTarget, reasonOf } from './probe.ts';
import { discard, open } from './socket.ts';

const DISCONNECT = Uint8Array.of(0xe0, 0);
const CONNACK_BYTES = 4;
const CLEAN_SESSION = 0x02;
const CLOSED = 'closed before CONNACK';
/** Failures that a broker may cause because it does not like the CONNECT, or because it is dying. */
const ENDED: ReadonlySet<string> = new Set([CLOSED, 'ECONNRESET', 'EPIPE']);

/**
 * CONNACK return codes (MQTT 3.1.1, table 3.1) of a broker that serves. All but 0 are its word about this probe, which
 * has no password and speaks one version, not about the broker. 3, server unavailable, is absent.
 */
const SERVING: ReadonlySet<number> = new Set([0, 1, 2, 4, 5]);

/**
 * The broker answers an MQTT 3.1.1 CONNECT. Its client id begins with `breakwater-probe-`, for the broker's logs and rules.
 *
 * A broker that has not answered after half of the time may wait for its user store, or for another node of its cluster:
 * while one node of EMQX hangs, the others answer a client id that they do not know after 44 s. So it is then asked for a
 * sign of life besides, and the first answer counts.
 */
export const mqttProbe: Probe = async (target, { timeoutMs, signal }) => {
  const beganAtMs = performance.now();
  const over = new AbortController();
  const abort = () => over.abort();
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, { once: true });
  const answer = exchange(target, { timeoutMs, signal: over.signal }, connectPacket());
  const alive = sleep(timeoutMs / 2, undefined, { signal: over.signal, ref: false })
    .then(() => Math.max(1, timeoutMs - (performance.now() - beganAtMs)))
    .then((leftMs) => exchange(target, { timeoutMs: leftMs, signal: over.signal }, connectOf('', 0)))
    .catch(() => answer);
  try {
    await Promise.race([answer, alive]);
  } finally {
    signal?.removeEventListener('abort', abort);
    abort();
    alive.catch(() => {});
  }
};

/**
 * Whether a broker is there at all: it answers a CONNECT without client id and with clean session 0, which it must refuse
 * at once [MQTT-3.1.3-8]. So neither a user store that is slow nor a lock of its cluster, which a node that hangs may
 * hold, makes it look dead. A broker that just closes is asked again with a client id.
 */
export const lifeProbe: Probe = async (target, { timeoutMs, signal }) => {
  const endsAtMs = performance.now() + timeoutMs;
  try {
    await exchange(target, { timeoutMs, signal }, connectOf('', 0));
  } catch (error) {
    if (!ENDED.has(reasonOf(error))) throw error;
    const leftMs = Math.max(1, endsAtMs - performance.now());
    await exchange(target, { timeoutMs: leftMs, signal }, connectPacket());
  }
};

function exchange(target: ProbeTarget, limits: ProbeLimits, connect: Buffer): Promise<void> {
  return attempt('mqtt', target, limits, (finish) => {
    const probe = open(target, limits, () => probe.socket.write(connect));
    const { socket } = probe;
    let answer = Buffer.alloc(0);
    let answered = false;
    const lost = (failure: Error) => finish(answered ? undefined : failure);
    socket.on('error', lost);
    socket.on('end', () => lost(new Error(CLOSED)));
    socket.on('data', (bytes) => {
      if (answered) return;
      answer = Buffer.concat([answer, bytes.subarray(0, CONNACK_BYTES - answer.length)]);
      const verdict = judge(answer);
      if (verdict === 'incomplete') return;
      answered = true;
      if (verdict !== 'accepted') finish(verdict === 'serving' ? undefined : verdict);
      else socket.end(DISCONNECT, () => finish());
    });
    // After DISCONNECT an orderly close, because a reset could overtake it and look like a lost device.
    return () => (answered ? socket.destroy() : discard(probe));
  });
}

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
  return connectOf(clientId, CLEAN_SESSION);
}

/** Keep-alive 0. */
function connectOf(clientId: string, flags: number): Buffer {
  const header = [
    0x10,
    12 + clientId.length,
    0,
    4,
    ...Buffer.from('MQTT'),
    4,
    flags,
    0,
    0,
    0,
    clientId.length,
  ];
  return Buffer.concat([Buffer.from(header), Buffer.from(clientId)]);
}
