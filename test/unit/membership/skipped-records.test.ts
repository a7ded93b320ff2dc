import { expect, test } from 'vitest';
import { createSkippedRecords } from '../../../src/membership/skipped-records.ts';

function recorder() {
  const lines: unknown[] = [];
  const warn = (fields: unknown) => void lines.push(fields);
  return { lines, records: createSkippedRecords({ warn }) };
}

const bad = { key: 'nodes', field: 'a', reason: 'json', detail: 'it is not JSON' } as const;

test('a record is counted each time, and said once', () => {
  const { lines, records } = recorder();
  for (let i = 0; i < 3; i++) records.add(bad);
  records.add({ ...bad, field: 'b' });
  records.add({ ...bad, reason: 'schema' });
  expect(lines).toMatchObject([bad, { field: 'b' }, { reason: 'schema' }]);
  expect([...records.counts()]).toMatchObject([
    { key: 'nodes', reason: 'json', count: 4 },
    { key: 'nodes', reason: 'schema', count: 1 },
  ]);
});

test('a store full of rubbish does not fill the log, nor hide another kind', () => {
  const { lines, records } = recorder();
  for (let i = 0; i < 10_000; i++) records.add({ ...bad, field: `${i}${'x'.repeat(1_000)}` });
  expect(lines).toHaveLength(33);
  expect(JSON.stringify(lines).length).toBeLessThan(10_000);
  records.add({ ...bad, key: 'decisions' });
  expect(lines.at(-1)).toMatchObject({ key: 'decisions' });
});
