import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { run } from '../support/cli.ts';
import { execute, temporaryDirectory } from '../support/process.ts';

/** What stands in `cluster/` for Kubernetes and systemd: it fits the program and its configuration. */

const root = resolve(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

describe('Kubernetes', () => {
  const folder = 'cluster/kubernetes';
  interface Manifest {
    readonly kind: string;
    readonly metadata: { readonly name: string };
    // biome-ignore lint/suspicious/noExplicitAny: manifests of several kinds, whose fields are looked at one by one
    readonly spec: any;
  }
  const { resources, configMapGenerator } = parse(read(`${folder}/kustomization.yaml`)) as {
    resources: string[];
    configMapGenerator: { name: string; files: string[] }[];
  };
  const manifests = resources.flatMap((name) =>
    parseAllDocuments(read(`${folder}/${name}`)).map((document) => document.toJS() as Manifest),
  );
  const find = (kind: string, name: string) => {
    const found = manifests.find((each) => each.kind === kind && each.metadata.name === name);
    if (found === undefined) throw new Error(`no ${kind} ${name}`);
    return found.spec;
  };
  const config = parse(read(`${folder}/breakwater.yaml`));
  const deployment = find('Deployment', 'breakwater');
  const pod = deployment.template.spec;
  const [container] = pod.containers;
  const labels = deployment.template.metadata.labels;
  const ports = Object.fromEntries(
    container.ports.map((port: { name: string; containerPort: number }) => [port.name, port.containerPort]),
  );

  test('each file is applied', () => {
    const files = readdirSync(join(root, folder)).filter((name) => name !== 'kustomization.yaml');
    const named = [...resources, ...configMapGenerator.flatMap(({ files: each }) => each)];
    expect(named.toSorted()).toEqual(files.toSorted());
  });

  test('the configuration is valid, and its ports are those of the pod', async () => {
    const { code, stderr } = await run(
      ['check', '--elsewhere', '-c', join(root, folder, 'breakwater.yaml')],
      {
        BREAKWATER_TOKEN: 'of the secret',
      },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const inConfig = [config.listeners[0].url, config.admin.url].map((url: string) =>
      Number(new URL(url).port),
    );
    expect(inConfig).toEqual([ports.mqtt, ports.admin]);
    expect(container.args).toEqual(['start', '-c', '/etc/breakwater/breakwater.yaml']);
    expect(container.volumeMounts[0].mountPath).toBe('/etc/breakwater');
    expect(pod.volumes[0].configMap.name).toBe(configMapGenerator[0]?.name);
  });

  test('readiness asks for nodes, liveness for the process only', () => {
    expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'admin' });
    for (const probe of [container.livenessProbe, container.startupProbe])
      expect(probe.httpGet).toEqual({ path: '/livez', port: 'admin' });
  });

  test('there is time to stop sending, and for all devices to leave', () => {
    const { command } = container.lifecycle.preStop.exec;
    const secondsOf = (option: string) => Number(command[command.indexOf(option) + 1]);
    expect(command.slice(0, 4)).toEqual(['breakwater', 'proxy', 'drain', '--if-others']);
    const { periodSeconds, failureThreshold } = container.readinessProbe;
    expect(secondsOf('--delay')).toBeGreaterThanOrEqual(periodSeconds * failureThreshold);
    const preStop = secondsOf('--delay') + secondsOf('--within');
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(preStop + config.limits.shutdownGrace);
    expect(deployment.strategy.rollingUpdate).toEqual({ maxUnavailable: 0, maxSurge: 1 });
    expect(find('PodDisruptionBudget', 'breakwater')).toEqual({
      maxUnavailable: 1,
      selector: { matchLabels: labels },
    });
  });

  test('services select the pods, by ports that exist', () => {
    for (const name of ['breakwater', 'breakwater-admin']) {
      const service = find('Service', name);
      expect(service.selector).toEqual(labels);
      for (const { targetPort } of service.ports) expect(ports[targetPort]).toBeDefined();
    }
    expect(deployment.selector.matchLabels).toEqual(labels);
  });

  test('brokers are found through a headless service', () => {
    const [{ dns, port }] = config.pools.default.discovery;
    const service = find('Service', dns);
    expect(service.clusterIP).toBe('None');
    expect(service.ports[0].port).toBe(port);
  });

  test('nothing runs as root, writes, or gains rights', () => {
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(container.securityContext).toEqual({
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    });
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(container.env[0].valueFrom.secretKeyRef).toEqual({ name: 'breakwater', key: 'token' });
  });
});

describe('systemd', () => {
  const unit = read('cluster/systemd/breakwater.service');
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1];

  test('reloads by SIGHUP, gives devices their time, and runs as a user of its own', () => {
    expect(value('ExecReload')).toBe('/bin/kill -HUP $MAINPID');
    expect(Number(value('TimeoutStopSec'))).toBeGreaterThan(30); // limits.shutdownGrace, and each command of ExecStop
    expect(value('ExecStop')).toBe(
      '-/usr/local/bin/breakwater proxy drain --if-others --delay 5 --within 25',
    );
    expect(read('cluster/systemd/breakwater.sysusers')).toMatch(new RegExp(`^u ${value('User')} `));
  });

  test('waits for the listeners, and has the proxy started again when a thread does not come back', () => {
    expect(value('Type')).toBe('notify');
    expect(value('NotifyAccess')).toBe('main');
    expect(Number(value('WatchdogSec'))).toBeGreaterThan(10);
    expect(value('Restart')).toBe('on-failure'); // which a watchdog's end is
  });

  test('is hardened, but for what V8 needs', () => {
    for (const key of [
      'NoNewPrivileges',
      'ProtectHome',
      'PrivateTmp',
      'PrivateDevices',
      'RestrictNamespaces',
    ])
      expect(value(key), key).toBe('yes');
    expect(value('ProtectSystem')).toBe('strict');
    expect(value('MemoryDenyWriteExecute')).toBeUndefined();
  });

  test('is understood by systemd, where that is installed', async ({ skip }) => {
    const file = join(temporaryDirectory(), 'breakwater.service');
    writeFileSync(file, unit.replaceAll('/usr/local/bin/breakwater', process.execPath)); // which exists
    try {
      const { stderr } = await execute('systemd-analyze', ['verify', '--man=no', file]);
      expect(stderr).toBe('');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') skip('systemd-analyze is not installed');
      throw error;
    }
  });
});

test('the seccomp profile refuses what it does not name, and allows io_uring', () => {
  const profile = JSON.parse(read('cluster/seccomp/breakwater.json'));
  const allowed = profile.syscalls.flatMap(({ names }: { names: string[] }) => names);
  expect(profile.defaultAction).toBe('SCMP_ACT_ERRNO');
  expect(allowed).toEqual(expect.arrayContaining(['io_uring_setup', 'io_uring_enter', 'io_uring_register']));
  expect(allowed).not.toContain('mount');
  expect(new Set(allowed).size).toBe(allowed.length);
});
