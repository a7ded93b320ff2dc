import { z } from 'zod';
import type { PatternField } from '../policy/routing/conditions.ts';
import { patternFields } from '../policy/routing/conditions.ts';
import { keyProblem } from '../policy/routing/key.ts';
import { compilePattern } from '../policy/routing/pattern.ts';
import { type ConnectRule, refusals } from '../policy/routing/rules.ts';
import { fullUrl } from './address.ts';
import { address, choice, name, network, optionalCount, pattern, text } from './fields.ts';
import { byteRate, messageRate } from './limits.ts';
import { listenerSchemes } from './listeners.ts';

/** Conditions and what comes of them. The words are those of `policy/routing/rules.ts`. */

const MAX_VALUES = 256;

/** One value or a list of them. */
function oneOrMore<T extends z.ZodType>(one: T) {
  const many = z
    .array(one)
    .min(1, { error: 'must not be an empty list' })
    .max(MAX_VALUES, { error: `must hold at most ${MAX_VALUES} values` });
  // A union would report that no branch fits; this way the fault of the one value is said.
  return z.preprocess(
    (value) => (Array.isArray(value) || value === undefined ? value : [value]),
    many.optional(),
  );
}

const about: Readonly<Record<PatternField, string>> = {
  clientId: 'Matches the client id anywhere; anchor with `^` and `$`.',
  username:
    'Matches the username likewise; a device without one does not match. Nor do devices without any of those below.',
  clientCn: 'Matches the common name of the device’s verified certificate.',
  sni: 'Matches the server name that the device asked for in TLS.',
  host: 'Matches the host of a WebSocket or HTTP request, without its port.',
  path: 'Matches the path of a WebSocket or HTTP request, without its query.',
};

const patterns = Object.fromEntries(
  patternFields.map((field) => [
    field,
    pattern().optional().meta({ kind: 'regular expression (RE2)', description: about[field] }),
  ]),
) as Record<PatternField, ReturnType<typeof optionalPattern>>;

function optionalPattern() {
  return pattern().optional();
}

const version = z.literal([3, 4, 5], { error: 'must be 3 (MQTT 3.1), 4 (MQTT 3.1.1) or 5 (MQTT 5.0)' });

const whenSchema = z.strictObject({
  ...patterns,
  source: oneOrMore(network()).meta({
    kind: 'IP address or CIDR block, or a list',
    description: 'The device’s address, of IPv4 or IPv6, is in one of these networks.',
  }),
  listener: oneOrMore(address(listenerSchemes, [])).meta({
    kind: 'URL of a listener, or a list',
    description: 'The device came in by this listener; its `url` as it stands in `listeners`.',
  }),
  protocolVersion: oneOrMore(version).meta({
    kind: '`3`, `4`, `5`, or a list',
    description: 'Protocol level of the CONNECT: 3 is MQTT 3.1, 4 is MQTT 3.1.1, 5 is MQTT 5.0.',
  }),
  cleanStart: z.boolean({ error: 'must be true or false' }).optional().meta({
    kind: '`true`, `false`',
    description: 'Clean Start (in MQTT 3 Clean Session) of the CONNECT.',
  }),
});

export const ruleSchema = z
  .strictObject({
    when: whenSchema,
    pool: name().optional().meta({
      kind: 'pool name',
      description: 'Where devices go that match; without it the listener’s pool.',
    }),
    key: text(256).optional().meta({
      kind: 'text with `$1` to `$9`',
      description:
        'What the pool’s hash strategy hashes instead of client id or address. `$1` is the first capture group of the rule’s patterns, counted through clientId, username, clientCn, sni, host, path: `clientId: "^site-([0-9]+)-"` with `key: $1` keeps a site together. `$$` is a dollar sign. Of no use to other strategies.',
    }),
    mode: choice(['session', 'relay'])
      .optional()
      .describe('How the connection is carried, instead of the listener’s `mode`.'),
    limits: z
      .strictObject({
        messageRate: optionalCount(messageRate),
        byteRate: optionalCount(byteRate),
      })
      .optional(),
    reject: choice(refusals)
      .optional()
      .describe(
        'Turn them away, with this reason in CONNACK (MQTT 5: 0x87, 0x8A, 0x88, 0x89, 0x97, 0x9F, 0x9C, 0x9D; MQTT 3: 5 for the first two, else 3).',
      ),
  })
  .check(({ value, issues }) => {
    const { when, pool, key, mode, limits, reject } = value;
    const problem = (message: string, ...path: string[]) => {
      issues.push({ code: 'custom', input: value, path, message });
    };
    const routes = [pool, key, mode, limits].some((action) => action !== undefined);
    if (routes === (reject !== undefined))
      problem('needs either reject, or at least one of pool, key, mode and limits');
    if (Object.values(when).every((condition) => condition === undefined)) {
      problem(`needs at least one of ${Object.keys(whenSchema.shape).join(', ')}`, 'when');
    }
    const groups = patternFields.reduce((sum, field) => sum + groupsOf(when[field]), 0);
    const wrongKey = key === undefined ? undefined : keyProblem(key, groups);
    if (wrongKey !== undefined) problem(wrongKey, 'key');
  });

function groupsOf(source: string | undefined): number {
  return source === undefined ? 0 : compilePattern(source).groups;
}

/** From the file's form to the program's: listeners by their full URL. */
export function toRule({ when, ...action }: z.output<typeof ruleSchema>): ConnectRule {
  return { ...action, when: { ...when, listener: when.listener?.map(fullUrl) } };
}
