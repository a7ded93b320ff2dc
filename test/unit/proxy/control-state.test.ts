import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { HANDED_VERSION } from '../../../src/connection/handed-version.ts';
import { handedSockets } from '../../../src/engine/handed-sockets.ts';
import { fromNew, fromOld, PROTOCOL } from '../../../src/handover/protocol.ts';
import { memoryState } from '../../../src/membership/store/memory-state.ts';
import { redisState } from '../../../src/membership/store/redis-state.ts';
import { writeSnapshot } from '../../../src/protocol/tls-record/snapshot.ts';
import * as tls from '../../../src/protocol/tls-record/state.ts';
import { aeadCiphers } from '../../../src/protocol/tls-record/suites.ts';
import { controlState, lastWords } from '../../../src/proxy/control-state.ts';
import { offeredConnection } from '../../../src/proxy/take-connections.ts';

/** What `formatOf` gives of each version. */
const formats: Readonly<Record<number, string>> = { 15: '9a2e8fe041017d6f' };

/** The shapes of all that travels between two processes. What a connection is has a version of its own, in which they may not differ either. */
function formatOf(schemas: readonly z.ZodType[]): string {
  const shapes = schemas.map((schema) => z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' }));
  const all = { shapes, connection: HANDED_VERSION, tls: tlsFormat() };
  return createHash('sha256').update(JSON.stringify(all)).digest('hex').slice(0, 16);
}

/** A TLS connection of each cipher and version as bytes, every field of its state another one, and records on the way, whole ones too. */
function tlsFormat(): string[] {
  const value = (first: number, length: number) => Uint8Array.from({ length }, (_, i) => first + i);
  return aeadCiphers.flatMap((cipher) =>
    [tls.TLS13, tls.CLIENT, tls.CLOSE_READ, tls.CLOSE_SENT, tls.UPDATE_OWED, tls.UPDATE_ASKED].map((flag) => {
      const bytes = Buffer.alloc(tls.STATE_BYTES);
      const state = new tls.RecordState().use({ bytes, address: 0 }, 0);
      state.begin(cipher, flag | tls.REFUSAL_OWED, 1_000);
      for (const way of [tls.READ, tls.WRITE] as const) {
        state.setSecret(way, value(way, 48), 0, 48);
        state.setKey(way, value(way + 50, 32), 0, 32);
        state.setIv(way, value(way + 90, tls.IV_BYTES), 0, tls.IV_BYTES);
        state.skip(way, 3);
        state.advance(way, 1_000);
      }
      state.idleRecords = 7;
      state.messageSkip = 70_000;
      state.addMessageByte(24);
      state.fail(10);
      const [unread, unsent] = [value(1, 90), value(100, 60)];
      return cipher.name + writeSnapshot({ state: bytes, unread, unsent, unsentData: 33 }).toString('hex');
    }),
  );
}

/**
 * Where two versions read the same number and mean different things, the new process may find out only when it has devices.
 * What stands in a list of names, such as the kinds of events, counts: the older process may say one that the newer one does not know.
 */
test('what travels changes with its version only: count PROTOCOL up, and write here what this expects', () => {
  const control = [fromNew.schema, fromOld.schema, controlState, lastWords, memoryState, redisState];
  expect(formatOf([...control, offeredConnection, handedSockets])).toBe(formats[PROTOCOL]);
});
