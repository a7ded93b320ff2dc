import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BreakwaterError } from '../../src/base/errors.ts';
import { readHandedConnection } from '../../src/connection/handed.ts';
import { anySession } from '../unit/connection/handed-values.ts';
import { SessionScene } from '../unit/connection/session-scene.ts';

// What another process hands over may be of any shape. It is refused with a code, or it is a connection that works.

type Step = readonly [at: number, what: unknown];

const other = fc.oneof(
  ...[fc.integer(), fc.double(), fc.boolean(), fc.string(), fc.constant(undefined), fc.constant(null)],
  ...[fc.uint8Array({ maxLength: 20 }), fc.array(fc.nat(), { maxLength: 3 }), fc.constant({}), fc.bigInt()],
  fc.constantFrom<unknown>(
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -0,
    0xffff_ffff,
    new Map(),
    new Set([1]),
    [],
  ),
);
const changes = fc.array(fc.tuple(fc.nat(), other), { minLength: 1, maxLength: 3 });

/** All places in the value, each as who has it and its name there. */
function places(value: unknown): (readonly [owner: object, name: string])[] {
  if (typeof value !== 'object' || value === null || value instanceof Set) return [];
  if (value instanceof Uint8Array)
    return value.length > 0
      ? [
          [value, '0'],
          [value, String(value.length - 1)],
        ]
      : [];
  return Object.entries(value).flatMap(([name, inner]) => [[value, name] as const, ...places(inner)]);
}

function changed(value: unknown, steps: readonly Step[]): unknown {
  const clone: unknown = structuredClone(value);
  for (const [at, what] of steps) {
    const all = places(clone);
    const [owner, name] = all[at % all.length] ?? [{}, ''];
    if (owner instanceof Uint8Array) owner[Number(name)] = typeof what === 'number' ? what : at;
    else Reflect.set(owner, name, what);
  }
  return clone;
}

const traffic = ['PINGREQ', 'PUBLISH q1 #1 t=x', 'PUBREL #8', 'PUBACK #7', 'SUBSCRIBE #3 t:1', 'PUBREC #8'];
const answers = ['PUBLISH q1 #7 u=x', 'PUBACK #7', 'PUBREC #8', 'SUBACK #3 1', 'PUBREL #8', 'PINGRESP'];

/** All that a session has is used. */
function use(scene: SessionScene): void {
  const isAlive = () => scene.deviceDone === undefined && scene.connection.session?.isServed === true;
  for (const text of traffic) if (isAlive()) scene.say('device', text);
  for (const text of answers) if (isAlive()) scene.hears(text);
  scene.turns();
  scene.pass(2_000);
  if (!isAlive()) return;
  scene.loses();
  scene.pass(100);
  const node = [...scene.links.values()].at(-1)?.node;
  if (node === undefined || scene.deviceDone !== undefined) return;
  for (const text of ['opens', 'CONNACK', 'SUBACK #65535 1']) {
    const isThere = [...scene.links.values()].some((link) => link.node === node);
    if (isThere && scene.deviceDone === undefined) scene.say(node, text);
  }
  scene.turns();
}

function outcomeOf(value: unknown): string {
  const scene = new SessionScene({ version: 5, rates: { messageRate: 9, byteRate: 99 } });
  try {
    readHandedConnection(value);
    scene.takeOver(value);
  } catch (error) {
    if (error instanceof BreakwaterError) return error.code;
    throw error;
  }
  use(scene);
  return 'taken';
}

test('a value that was changed anywhere is refused with a code, or works', () => {
  const outcomes = new Map<string, number>();
  fc.assert(
    fc.property(anySession, changes, (value, steps) => {
      const outcome = outcomeOf(changed(value, steps));
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }),
    { numRuns: 700 },
  );
  expect([...outcomes.keys()].sort()).toEqual(expect.arrayContaining(['HANDOVER_INVALID', 'taken']));
});

test('one that was not changed works', () => {
  fc.assert(
    fc.property(anySession, (value) => {
      expect(outcomeOf(value)).toBe('taken');
    }),
    { numRuns: 300 },
  );
});

test('anything else is refused', () => {
  fc.assert(
    fc.property(fc.oneof(other, fc.anything()), (value) => {
      expect(() => readHandedConnection(value)).toThrow(BreakwaterError);
    }),
    { numRuns: 1_000 },
  );
});
