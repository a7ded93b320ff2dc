import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { run } from '../support/cli.ts';

const root = new URL('../../', import.meta.url).pathname;
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const readYaml = (path: string) => parse(read(path), { merge: true });

interface Service {
  readonly image: string;
  readonly profiles?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly command?: string | readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ulimits?: { readonly nofile: { readonly soft: number } };
}
const compose = readYaml('docker-compose.yml');
const services: Record<string, Service> = compose.services;
const names = Object.keys(services);
const proxies = names.filter((name) => name.startsWith('proxy-'));

/** A published port, without the address that it is bound to. */
const published = (name: string) => services[name]?.ports?.map((port) => port.split(':').slice(-2).join(':'));

describe('docker-compose.yml', () => {
  test('starts two proxies, EMQX and Redis; the rest stands in profiles', () => {
    const inProfile = (profile?: string) => names.filter((name) => services[name]?.profiles?.[0] === profile);
    expect(inProfile()).toEqual(['proxy-1', 'proxy-2', 'redis', 'emqx']);
    expect(inProfile('embedded')).toEqual(['broker']);
    expect(inProfile('monitoring')).toEqual(['prometheus', 'grafana']);
    expect(published('proxy-1')).toEqual(['1883:1883', '9883:9883']);
    expect(published('proxy-2')).toEqual(['1884:1883', '9884:9883']);
  });

  test('uses nothing that docker-compose 1.29 does not know', () => {
    expect(compose.version).toBe('3.8');
    expect(Object.keys(compose).filter((key) => !key.startsWith('x-'))).toEqual([
      'version',
      'services',
      'volumes',
    ]);
    expect(read('docker-compose.yml')).not.toMatch(/start_interval|develop:|!reset|!override/);
  });

  test('mounts only what exists', () => {
    const sources = names
      .flatMap((name) => services[name]?.volumes ?? [])
      .map((volume) => volume.split(':')[0] ?? '');
    const files = sources.filter((source) => source.startsWith('./'));
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
    expect(sources.filter((source) => !files.includes(source)).toSorted()).toEqual(
      Object.keys(compose.volumes).toSorted(),
    );
  });

  test('has no token of its own, and says where one is missing', () => {
    const wanted = [...proxies, 'prometheus'].map((name) => services[name]?.environment?.BREAKWATER_TOKEN);
    expect(new Set(wanted)).toEqual(new Set([expect.stringMatching(/^\$\{BREAKWATER_TOKEN:\?.+\}$/)]));
    expect(read('.env.example')).toMatch(/^BREAKWATER_TOKEN=$/m);
    expect(read('.gitignore')).toMatch(/^\.env$/m);
  });

  const tool = [['docker-compose'], ['docker', 'compose']].find(answers);
  test.runIf(tool).each<[string[]]>([[[]], [['embedded']], [['monitoring']], [['embedded', 'monitoring']]])(
    'is read by the installed compose with profiles %j',
    (profiles) => {
      const flags = profiles.flatMap((profile) => ['--profile', profile]);
      const env = { ...process.env, BREAKWATER_TOKEN: 'x' };
      const [command = '', ...args] = tool ?? [];
      execFileSync(command, [...args, ...flags, 'config', '--quiet'], { cwd: root, env, stdio: 'pipe' });
    },
  );
});

function answers([command = '', ...args]: readonly string[]): boolean {
  try {
    execFileSync(command, [...args, 'version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('what the containers read', () => {
  const config = readYaml('cluster/breakwater.yaml');

  test('breakwater.yaml passes "breakwater check"', async () => {
    const check = ['check', '-c', join(root, 'cluster/breakwater.yaml')];
    expect(await run(check, { BREAKWATER_TOKEN: 'x' })).toMatchObject({ code: 0 });
  });

  test('breakwater.yaml fits the services around it', () => {
    expect(Object.keys(services)).toContain(config.pools.default.discovery[0].dns);
    expect(config.membership.url).toBe('redis://redis:6379');
    for (const name of proxies) {
      expect(2 * config.limits.maxConnections).toBeLessThan(services[name]?.ulimits?.nofile.soft ?? 0);
    }
    expect(services.broker?.command).toContain(`--join ${config.cluster} `);
    expect(services.broker?.command).toContain(`--redis ${config.membership.url} `);
  });

  test('Prometheus asks every proxy, with the token that it was given', () => {
    const [job] = readYaml('cluster/prometheus.yml').scrape_configs;
    expect(job.static_configs[0].targets).toEqual(proxies.map((name) => `${name}:9883`));
    expect(String(services.prometheus?.command)).toContain(`> ${job.authorization.credentials_file} `);
  });

  test('Prometheus finds the alert rules that its configuration names', () => {
    const folder = '/etc/prometheus/';
    const mounted = (services.prometheus?.volumes ?? []).map((volume) => volume.split(':')[1]);
    for (const file of readYaml('cluster/prometheus.yml').rule_files)
      expect(mounted).toContain(`${folder}${file}`);
  });

  test('the dashboard asks the provisioned source', () => {
    const dashboard = read('cluster/grafana/dashboards/breakwater.json');
    const { uid } = readYaml('cluster/grafana/provisioning/datasources/prometheus.yml').datasources[0];
    expect(new Set(dashboard.match(/"uid": "(?!breakwater)[^"]*"/g))).toEqual(new Set([`"uid": "${uid}"`]));
  });
});

describe('Dockerfile', () => {
  test('runs the command, which is on the path, as a user that is not root', () => {
    const last =
      read('Dockerfile')
        .split(/^FROM /m)
        .at(-1) ?? '';
    expect(last).toMatch(/^USER [1-9]\d*/m);
    expect(last).toMatch(/^ENTRYPOINT \["breakwater"\]$/m);
    expect(last).toMatch(/^RUN ln -s \/app\/dist\/breakwater\/main.js \/usr\/local\/bin\/breakwater$/m);
    expect(last).toMatch(/^HEALTHCHECK [^[]*\[.*\/livez/m); // exec form: the image needs no shell
  });

  test('the build gets no secret', () => {
    const ignored = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(ignored[0]).toBe('*');
    expect(ignored.filter((line) => line.startsWith('!.'))).toEqual([]);
  });
});
