import { afterEach, expect, it } from 'vitest';
import type { DnsDiscoveryConfig } from '../../src/config/config.ts';
import { createDiscovery } from '../../src/membership/discovery/index.ts';
import { listenTo } from '../support/discovery.ts';
import { startDnsServer, type Zone } from '../support/dns-server.ts';
import { until } from '../support/wait.ts';

const stops: (() => unknown)[] = [];
afterEach(() => Promise.all(stops.splice(0).map((stop) => stop())));

function discover(config: Partial<DnsDiscoveryConfig>) {
  const heard = listenTo(
    createDiscovery(
      {
        kind: 'dns',
        name: 'emqx.test',
        srv: false,
        scheme: 'mqtt',
        port: 1883,
        family: undefined,
        resolver: undefined,
        intervalMs: 20,
        ...config,
      },
      'default',
    ),
  );
  stops.push(heard.stop);
  return heard;
}

async function serve(zone: Zone, config: Partial<DnsDiscoveryConfig> = {}) {
  const server = await startDnsServer(zone);
  stops.push(server.stop);
  return { server, heard: discover({ resolver: server.address, ...config }) };
}

it('finds nodes by TLS where it is told to', async () => {
  const { heard } = await serve({ 'A emqx.test': ['10.0.0.1'] }, { scheme: 'mqtts', port: 8883 });
  await heard.until(['emqx.test-10.0.0.1:8883 mqtts://10.0.0.1:8883 10']);
});

it('takes every address of a name as a node, and tells whole sets only when they change', async () => {
  const { server, heard } = await serve({ 'A emqx.test': ['10.0.0.2', '10.0.0.1'] });
  const two = [
    'emqx.test-10.0.0.1:1883 mqtt://10.0.0.1:1883 10',
    'emqx.test-10.0.0.2:1883 mqtt://10.0.0.2:1883 10',
  ];
  await heard.until(two);
  expect(heard.told[0]?.[0]).toEqual({
    spec: {
      id: 'emqx.test-10.0.0.1:1883',
      pool: 'default',
      url: 'mqtt://10.0.0.1:1883',
      weight: 10,
      source: 'dns',
    },
    draining: false,
  });
  server.zone['A emqx.test'] = ['10.0.0.1', '10.0.0.2']; // another order is no change
  const asked = server.questions;
  await until(() => server.questions > asked + 2, 'more questions');
  server.zone['A emqx.test'] = ['10.0.0.3', '10.0.0.1', '10.0.0.2'];
  await heard.until([...two, 'emqx.test-10.0.0.3:1883 mqtt://10.0.0.3:1883 10']);
  server.zone['A emqx.test'] = ['10.0.0.3'];
  await heard.until(['emqx.test-10.0.0.3:1883 mqtt://10.0.0.3:1883 10']);
  expect([heard.told.length, heard.faults]).toEqual([3, []]);
});

it('takes IPv6 where there is no IPv4, or where it is told to', async () => {
  const zone = {
    'AAAA six.test': ['fd00:0:0:0:0:0:0:1'],
    'A both.test': ['10.0.0.1'],
    'AAAA both.test': ['fd00:0:0:0:0:0:0:2'],
  };
  await (await serve(zone, { name: 'six.test' })).heard.until([
    'six.test-fd00::1:1883 mqtt://[fd00::1]:1883 10',
  ]);
  await (await serve(zone, { name: 'both.test' })).heard.until([
    'both.test-10.0.0.1:1883 mqtt://10.0.0.1:1883 10',
  ]);
  const six = await serve(zone, { name: 'both.test', family: 6 });
  await six.heard.until(['both.test-fd00::2:1883 mqtt://[fd00::2]:1883 10']);
});

it.each([
  ['a server that fails', 'failing', 'dns emqx.test: emqx.test does not resolve (ESERVFAIL)'],
  ['a name that is gone (NXDOMAIN)', {}, 'dns emqx.test: emqx.test does not resolve (ENOTFOUND)'],
  [
    'a name without addresses',
    { 'SRV emqx.test': [] },
    'dns emqx.test: emqx.test does not resolve (ENODATA)',
  ],
] as const)('keeps the last answer of %s, and tells one fault an outage', async (_what, trouble, fault) => {
  const zone = { 'A emqx.test': ['10.0.0.1'] };
  const { server, heard } = await serve(zone);
  const one = ['emqx.test-10.0.0.1:1883 mqtt://10.0.0.1:1883 10'];
  await heard.until(one);
  for (const outage of [1, 2]) {
    if (trouble === 'failing') server.mood = trouble;
    else server.zone = trouble;
    await heard.untilFault(outage);
    const asked = server.questions;
    await until(() => server.questions > asked + 2, 'more questions');
    expect([heard.faults.length, heard.now()]).toEqual([outage, one]);
    server.mood = 'well';
    server.zone = { 'A emqx.test': ['10.0.0.1', `10.0.1.${outage}`] };
    await until(() => heard.told.length === 2 * outage, 'an answer after the outage');
    server.zone = zone;
    await heard.until(one);
  }
  expect(heard.faults).toEqual([fault, fault]);
});

it('keeps the last answer of a server that is silent, and goes on when it speaks again', async () => {
  const { server, heard } = await serve({ 'A emqx.test': ['10.0.0.1'] });
  await until(() => heard.told.length > 0, 'an answer');
  server.mood = 'silent';
  await heard.untilFault();
  expect(heard.faults).toEqual(['dns emqx.test: no answer within 1000 ms']);
  server.zone = { 'A emqx.test': ['10.0.0.2'] };
  server.mood = 'well';
  await heard.until(['emqx.test-10.0.0.2:1883 mqtt://10.0.0.2:1883 10']);
  expect(heard.told.length).toBe(2);
});

it('takes host, port and weight of SRV records of the lowest priority [RFC 2782]', async () => {
  const { server, heard } = await serve(
    {
      'SRV _mqtt._tcp.test': [
        '1 20 1884 B.test',
        '1 0 1883 a.test',
        '2 50 1883 spare.test',
        '1 9 1883 gone.test',
      ],
      'A a.test': ['10.0.0.1'],
      'A b.test': ['10.0.0.2'],
      'A spare.test': ['10.0.0.9'],
    },
    { name: '_mqtt._tcp.test', srv: true },
  );
  await heard.until(['a.test:1883 mqtt://10.0.0.1:1883 1', 'b.test:1884 mqtt://10.0.0.2:1884 20']);
  server.zone['SRV _mqtt._tcp.test'] = ['0 0 1883 a.test', '0 0 1883 b.test'];
  await heard.until(['a.test:1883 mqtt://10.0.0.1:1883 10', 'b.test:1883 mqtt://10.0.0.2:1883 10']);
  server.zone['SRV _mqtt._tcp.test'] = ['0 65535 1883 a.test', '0 6553 1883 b.test'];
  server.zone['A b.test'] = ['10.0.0.3']; // came back elsewhere: the same node
  await heard.until(['a.test:1883 mqtt://10.0.0.1:1883 100', 'b.test:1883 mqtt://10.0.0.3:1883 10']);
  server.zone['SRV _mqtt._tcp.test'] = ['0 0 0 .'];
  await heard.untilFault();
  expect([heard.faults, heard.now().length]).toEqual([
    ['dns _mqtt._tcp.test: no target of its SRV records has an address'],
    2,
  ]);
});

it('asks the system, hosts file included, where no resolver is named', async () => {
  await discover({ name: 'localhost', family: 4 }).until([
    'localhost-127.0.0.1:1883 mqtt://127.0.0.1:1883 10',
  ]);
});

it('is silent once stopped', async () => {
  const { server, heard } = await serve({ 'A emqx.test': ['10.0.0.1'] });
  server.mood = 'silent';
  await until(() => server.questions > 0, 'a question');
  heard.stop();
  const { heard: after } = await serve({ 'A emqx.test': ['10.0.0.1'] });
  await until(() => after.told.length > 0, 'another discovery of the same interval');
  expect([heard.told, heard.faults]).toEqual([[], []]);
});
