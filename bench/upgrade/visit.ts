import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { generate } from 'mqtt-packet';
import type { Door } from '../failover/doors.ts';

/** Devices that come while a process takes the place of another. */

export interface Visit {
  readonly beganMs: number;
  /** From the first packet of TCP to CONNACK. */
  readonly afterMs: number;
  /** Why it was not served; undefined: it was. */
  readonly refusal: string | undefined;
}

const PATIENCE_MS = 15_000;
let visitors = 0;

/** Connects, waits for CONNACK and leaves. */
export async function visit(door: Door): Promise<Visit> {
  const beganMs = performance.now();
  const { stream, socket } = door();
  let error = 'closed before CONNACK';
  const fail = ({ message }: Error): void => {
    error = message;
  };
  for (const each of new Set([stream, socket])) each.on('error', fail);
  const clientId = `visitor-${process.pid}-${visitors++}`;
  stream.write(
    generate({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clientId,
      clean: true,
      keepalive: 60,
    }),
  );
  const patience = setTimeout(() => {
    error = `no CONNACK within ${PATIENCE_MS} ms`;
    stream.destroy();
  }, PATIENCE_MS);
  const answer = await Promise.race([
    once(stream, 'data').then(
      ([bytes]) => bytes as Buffer,
      () => undefined,
    ),
    new Promise<undefined>((resolve) => stream.once('close', () => resolve(undefined))),
  ]);
  clearTimeout(patience);
  stream.destroy();
  const code = answer?.[3];
  const refusal = answer === undefined ? error : code === 0 ? undefined : `CONNACK ${code}`;
  return { beganMs, afterMs: performance.now() - beganMs, refusal };
}

/** One visit after the other has begun, each `everyMs`, at the doors in turn, until `end`. */
export function receive(doors: readonly Door[], everyMs: number): { end(): Promise<Visit[]> } {
  const visits: Promise<Visit>[] = [];
  let isOver = false;
  const coming = (async () => {
    for (let i = 0; !isOver; i++) {
      visits.push(visit(doors[i % doors.length] as Door));
      await sleep(everyMs);
    }
  })();
  return {
    async end() {
      isOver = true;
      await coming;
      return Promise.all(visits);
    },
  };
}
