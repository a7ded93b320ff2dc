import { expect, test } from 'vitest';
import { z } from 'zod';
import { readHanded } from '../../../src/base/read-handed.ts';

const shape = z.object({ nodes: z.array(z.object({ id: z.string() })) });

test('what is of another format is refused by a code, with the field and without what is there', () => {
  expect(readHanded(shape, { nodes: [{ id: 'a' }] }, 'the state')).toEqual({ nodes: [{ id: 'a' }] });
  const refused = (value: unknown) => () => readHanded(shape, value, 'the state');
  expect(refused({ nodes: [{ id: 'a' }, { id: 17_171 }] })).toThrow(
    expect.objectContaining({
      code: 'HANDOVER_INVALID',
      message: "the state of another process cannot be understood at 'nodes.1.id' (invalid_type)",
    }),
  );
  expect(refused('secret')).toThrow(/at its top \(invalid_type\)$/);
});
