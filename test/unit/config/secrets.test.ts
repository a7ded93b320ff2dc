import { expect, test } from 'vitest';
import { effectiveDocument } from '../../../src/config/load.ts';
import { hideSecrets } from '../../../src/config/secrets.ts';

/** Each secret is this word. */
const text = `
admin: { url: "http://127.0.0.1:9883", token: swordfish }
membership:
  store: redis
  url: "redis+sentinel://u:swordfish@a:1/m?sentinelUsername=x&sentinelPassword=swordfish"
  secret: swordfish-swordfish-swordfish-swordfish
  formerSecret: swordfish-swordfish-swordfish-swordfish-2
pools:
  default:
    discovery: [{ emqx: "http://a:18083", key: k, secret: swordfish }]
`;

test('nothing that is secret is left, and all else is', () => {
  const shown = JSON.stringify(hideSecrets(effectiveDocument(text, 'test.yaml')));
  expect(shown).not.toContain('swordfish');
  expect(shown).toContain('"redis+sentinel://***@a:1/m?sentinelUsername=x&sentinelPassword=***"');
  expect(JSON.parse(shown)).toMatchObject({ limits: { maxConnections: 100_000 }, admin: { token: '***' } });
});
