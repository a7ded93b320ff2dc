import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { fromNew, fromOld, PROTOCOL } from '../../../src/handover/protocol.ts';
import { controlState, lastWords } from '../../../src/proxy/control-state.ts';

/** What `formatOf` gives of each version. */
const formats: Readonly<Record<number, string>> = { 8: 'a7cfbb762c48d6c4' };

/** The shapes of all that travels between two processes, besides connections, which have a version of their own. */
function formatOf(schemas: readonly z.ZodType[]): string {
  const shapes = schemas.map((schema) => z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' }));
  return createHash('sha256').update(JSON.stringify(shapes)).digest('hex').slice(0, 16);
}

/**
 * Where two versions read the same number and mean different things, the new process may find out only when it has devices.
 * What stands in a list of names, such as the kinds of events, counts: the older process may say one that the newer one does not know.
 */
test('what travels changes with its version only: count PROTOCOL up, and write here what this expects', () => {
  expect(formatOf([fromNew, fromOld, controlState, lastWords])).toBe(formats[PROTOCOL]);
});
