import { expect, test } from 'vitest';
import { explainConnection, explanationText, readConnection } from '../../../../src/cli/commands/explain.ts';
import { parseConfig } from '../../../../src/config/load.ts';

const config = parseConfig(
  `
listeners: [{ url: mqtt://0.0.0.0, mode: relay, pool: default }]
pools: { default: {}, meters: { strategy: client-id-hash } }
rules:
  - { when: { clientId: "^meter-", source: 10.2.0.0/16 }, pool: meters }
  - { when: { username: "^banned$" }, reject: banned }
  - { when: { clientId: "^site-([0-9]+)-" }, pool: meters, key: $1, mode: session, limits: { byteRate: 5000 } }
limits: { deny: [192.0.2.0/24] }
`,
  'test.yaml',
);

const explained = (...pairs: string[]) => explanationText(explainConnection(config, readConnection(pairs)));

test('says which rule decides, why those before it do not, and what comes of it', () => {
  expect(explained('clientId=site-7-meter', 'source=10.1.2.3').split('\n')).toEqual([
    "rules[0] does not match: source is '10.1.2.3', not 10.2.0.0/16; clientId is 'site-7-meter', not ^meter-",
    'rules[1] does not match: username is absent, not ^banned$',
    "rules[2] decides: clientId is 'site-7-meter', as ^site-([0-9]+)-",
    "=> pool meters, mode session, hashed by '7', byteRate 5000",
  ]);
  expect(explained('username=banned').split('\n').slice(1)).toEqual([
    "rules[1] decides: username is 'banned', as ^banned$",
    '=> rejected as banned',
  ]);
});

test('without a rule that matches it is the listener that decides', () => {
  expect(explained('clientId=x').split('\n').slice(-2)).toEqual([
    'no rule matches',
    '=> pool default, mode relay',
  ]);
});

test('a denied network is asked before any rule', () => {
  expect(explained('clientId=site-7-meter', 'source=192.0.2.9')).toBe(
    'refused before any rule is asked: source-denied',
  );
});

test('every condition can be named, and is read in its own kind', () => {
  const pairs = [
    ...['listener=mqtt://0.0.0.0', 'source=::1', 'protocolVersion=5', 'cleanStart=false', 'clientId=a=b'],
    ...['username=', 'clientCn=c', 'sni=d', 'host=e', 'path=/f'],
  ];
  expect(readConnection(pairs)).toEqual({
    ...{ listener: 'mqtt://0.0.0.0:1883', sourceAddress: '::1', protocolVersion: 5, cleanStart: false },
    ...{ clientId: 'a=b', username: '', clientCn: 'c', sni: 'd', host: 'e', path: '/f' },
  });
});

test('what cannot be read is said, with what could', () => {
  const wrong = (pair: string) => () => readConnection([pair]);
  expect(wrong('client=x')).toThrow("takes name=value, not 'client=x'; names are listener, source");
  expect(wrong('constructor=x')).toThrow('takes name=value');
  expect(wrong('clientId')).toThrow("takes name=value, not 'clientId'");
  expect(wrong('source=meter')).toThrow("source must be an IP address, not 'meter'");
  expect(wrong('protocolVersion=6')).toThrow('protocolVersion must be 3, 4 or 5');
  expect(wrong('cleanStart=yes')).toThrow('cleanStart must be true or false');
});
