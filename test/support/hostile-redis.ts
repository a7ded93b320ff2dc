import fc from 'fast-check';
import { banId } from '../../src/policy/admission/bans.ts';

/** One command of somebody who can write to the Redis of a cluster. */
export type HostileCommand = readonly [string, ...(string | number)[]];

const huge = [
  '99999999999999999999',
  '1e308',
  '-1',
  '0',
  '4611686018427387904',
  'NaN',
  '',
  '00000000000000000001',
];

/** Numbers, and what stands where one should be. */
const number = fc.oneof(fc.constantFrom(...huge), fc.integer().map(String), fc.string({ maxLength: 8 }));

/** JSON of any shape, cut JSON, and no JSON; of this version, of others and of none. */
const text = fc.oneof(
  fc.json(),
  fc.string({ maxLength: 60 }),
  fc.json().map((json) => json.slice(0, -1)),
  fc
    .tuple(
      fc.constantFrom(0, 1, 2, 1e300, '1', null, -1),
      fc.dictionary(fc.string({ maxLength: 8 }), fc.jsonValue()),
    )
    .map(([v, fields]) => JSON.stringify({ ...fields, v })),
  fc.constant(`${'['.repeat(20_000)}${']'.repeat(20_000)}`),
);

/** What a record of each kind says, of which one field is then something else. */
const samples: Readonly<Record<string, object>> = {
  nodes: { id: 'evil', pool: 'default', url: 'mqtt://127.0.0.1:1', weight: 10, source: 'api' },
  decisions: { state: 'enabled', weight: 10, maxConnections: 0, removed: false },
  bans: {
    ...{ id: banId('source', '127.0.0.0/8'), kind: 'source', value: '127.0.0.0/8', kick: true },
    ...{ createdAt: '2026-01-01T00:00:00Z', expiresAt: '2100-01-01T00:00:00Z', reason: 'evil' },
  },
  proxies: {
    ...{ id: 'evil', version: '0', host: 'h', pid: 1, engine: 'node', threads: 1, listeners: [] },
    ...{ connections: 0, nodeConnections: [], startedAt: '2026-01-01T00:00:00Z' },
  },
};

/** A value that is wrong wherever it stands. */
const wrong = fc.constantFrom(null, -7, 1e300, 1.5, { a: -1 }, [[]], 'x'.repeat(70_000));

function mutated(kind: string): fc.Arbitrary<string> {
  const sample = samples[kind] ?? {};
  return fc
    .tuple(fc.constantFrom(...Object.keys(sample)), wrong, fc.constantFrom(1, 1, 1, 0, 2))
    .map(([field, value, v]) => JSON.stringify({ v, ...sample, [field]: value }));
}

const words = (count: number) => fc.array(number, { minLength: count, maxLength: count });

/** A record as it would be kept, but broken in one place or all. */
function record(kind: string): fc.Arbitrary<string> {
  const numbers = kind === 'proxies' ? 4 : kind === 'leases' ? 4 : 1;
  if (kind === 'leases')
    return fc.oneof(
      text,
      words(numbers).map((all) => all.join(' ')),
    );
  return fc.oneof(
    text,
    fc.tuple(words(numbers), fc.oneof(text, mutated(kind))).map(([all, json]) => [...all, json].join(' ')),
    // Well formed up to its JSON.
    fc.oneof(text, mutated(kind)).map((json) => {
      const soon = Date.now() + 60_000;
      const head =
        kind === 'proxies' ? [soon, 60_000, soon - 60_000, soon - 60_000] : [soon * 1000 - 60_000_000];
      return [...head, json].join(' ');
    }),
  );
}

/**
 * Commands that write broken things under every key and channel of a cluster. None is what Breakwater itself would
 * say: a well-formed word of another proxy is believed, unless messages are signed.
 * @param clientIds of devices that are connected; their claims are broken
 */
export function hostileCommands(
  cluster: string,
  proxies: readonly string[],
  clientIds: readonly string[],
): fc.Arbitrary<HostileCommand> {
  const key = (name: string): string => `{breakwater:${cluster}}:${name}`;
  const field = fc.oneof(
    fc.constantFrom(
      'evil',
      banId('source', '127.0.0.0/8'),
      '__proto__',
      'constructor',
      '',
      'x'.repeat(300),
      'a b\n\u0000',
    ),
    fc.string({ maxLength: 12 }),
  );
  const hashes = ['nodes', 'decisions', 'bans', 'leases', 'proxies'] as const;
  const channels = [
    ...['changes', 'claims', 'questions'],
    ...proxies.flatMap((id) => [`questions:${id}`, `proxy:${id}`]),
  ];
  const topics = fc.constantFrom(
    'clients',
    'client',
    'kick',
    'move',
    'load',
    'carry-out',
    'drain-rate',
    'none',
  );
  const question = fc
    .tuple(topics, fc.jsonValue(), fc.string({ maxLength: 8 }))
    .map(([topic, asked, id]) =>
      JSON.stringify({ v: 1, id: `${id}1`, from: 'evil', payload: { topic, question: asked } }),
    );
  const claim = fc
    .tuple(fc.constantFrom(...clientIds), fc.constantFrom(null, 'x', -1, 1e300, 1.5, {}, ''))
    .map(([clientId, epoch]) => JSON.stringify({ v: 1, clientId, node: 'n1', proxy: 'evil', epoch }));
  return fc.oneof(
    ...hashes.map((name) =>
      fc.tuple(field, record(name)).map(([id, value]): HostileCommand => ['HSET', key(name), id, value]),
    ),
    fc
      .tuple(fc.constantFrom('version', 'bans', 'base', 'sweptAt', 'other'), number)
      .map(([name, value]): HostileCommand => ['HSET', key('meta'), name, value]),
    fc
      .tuple(fc.integer({ min: -5, max: 5 }), number)
      .map(([score, member]): HostileCommand => ['ZADD', key('history'), score, member]),
    number.map((value): HostileCommand => ['SET', key('epoch'), value]),
    fc
      .tuple(fc.constantFrom(...clientIds), fc.constantFrom('epoch', 'other'), number)
      .map(([id, name, value]): HostileCommand => ['HSET', key(`client:${id}`), name, value]),
    fc
      .tuple(fc.constantFrom(...clientIds), fc.constantFrom('connection', 'text', 'other'), text)
      .map(([id, name, value]): HostileCommand => ['HSET', key(`session:${id}`), name, value]),
    fc
      .tuple(fc.constantFrom(...channels), fc.oneof(text, question))
      .map(([name, said]): HostileCommand => ['PUBLISH', key(name), said]),
    claim.map((said): HostileCommand => ['PUBLISH', key('claims'), said]),
  );
}

/** Every key of the cluster as a value of another type, which no command can use. */
export function wrongTypes(cluster: string, clientIds: readonly string[]): HostileCommand[] {
  const key = (name: string): string => `{breakwater:${cluster}}:${name}`;
  const strings = ['meta', 'nodes', 'decisions', 'leases', 'proxies', 'history', 'bans'].map(key);
  return [
    ...strings.map((name): HostileCommand => ['SET', name, 'not yours']),
    ['DEL', key('epoch')],
    ['LPUSH', key('epoch'), 'not yours'],
    ...clientIds.map((id): HostileCommand => ['SET', key(`client:${id}`), 'not yours']),
    ...clientIds.map((id): HostileCommand => ['SET', key(`session:${id}`), 'not yours']),
  ];
}
