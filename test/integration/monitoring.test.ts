import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { metricTable } from '../../src/cli/documents/metrics.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { temporaryDirectory } from '../support/process.ts';

/** What Prometheus and Grafana are given stands on metrics that exist, and says what helps. */

const root = new URL('../../', import.meta.url).pathname;
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}
interface RuleTest {
  readonly alertname: string;
  readonly exp_alerts: readonly object[];
}
const rules: readonly Rule[] = parse(read('cluster/alerts.yml')).groups.flatMap(
  ({ rules }: { rules: Rule[] }) => rules,
);

const dashboard = JSON.parse(read('cluster/grafana/dashboards/breakwater.json'));
const panels: readonly { targets?: readonly { expr: string }[] }[] = dashboard.panels;
const variables: readonly { query: { query: string } }[] = dashboard.templating.list;
/** As Prometheus is asked, once Grafana has filled in what is its own. */
const drawn = panels.flatMap(({ targets = [] }) =>
  targets.map(({ expr }) => expr.replaceAll('$proxy', '.*').replaceAll('$__rate_interval', '1m')),
);

const PROMTOOL = process.env.PROMTOOL ?? 'promtool';
const hasPromtool = runs(['--version']);
if (!hasPromtool) {
  console.warn(
    'promtool is not installed, so its checks are skipped: on Debian apt-get install prometheus, or set PROMTOOL',
  );
}

function runs(args: readonly string[]): boolean {
  try {
    execFileSync(PROMTOOL, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** What it says; throws where it finds a fault. */
function promtool(args: readonly string[], input = ''): string {
  return execFileSync(PROMTOOL, args, { cwd: root, input, stdio: 'pipe' }).toString();
}

/** `/metrics` of a proxy with a node and a certificate. */
let exposition: string;
let labels: ReadonlyMap<string, readonly string[]>;
beforeAll(async () => {
  const { adminUrl } = await startBreakwater({
    pools: { default: { nodes: [{ url: 'mqtt://127.0.0.1:1' }] } },
  });
  exposition = await (await fetch(`${adminUrl}/metrics`)).text();
  const rows = (await metricTable()).matchAll(/^\| `(\w+)(?:\{(.*)\})?` \|/gm);
  labels = new Map([...rows].map(([, name = '', list = '']) => [name, list.split(',')]));
});

const FUNCTIONS = ['histogram_quantile', 'label_values'];

/** Names of metrics, and what is asked of each by its labels. */
function metricsIn(expr: string): { name: string; asked: string[] }[] {
  const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/, */));
  const selected = [...expr.matchAll(/\b([a-z]+_[a-z_]+)\b(?:\{([^}]*)\})?/g)];
  return selected
    .filter(([, name = '']) => !FUNCTIONS.includes(name))
    .map(([, name = '', matchers = '']) => ({
      name,
      asked: [...grouped, ...[...matchers.matchAll(/(\w+) *[=!]/g)].map(([, label = '']) => label)],
    }));
}

/** What Prometheus adds itself. */
const ADDED = ['instance', 'job', 'le'];

test.each([
  ...drawn.map((expr) => ['the dashboard', expr]),
  ...variables.map(({ query }) => ['the dashboard', query.query]),
  ...rules.map(({ alert, expr }) => [alert, expr]),
])('%s asks for metrics that exist, by labels that they have: %s', (_, expr) => {
  const asked = metricsIn(expr.replaceAll(/"[^"]*"/g, '""'));
  if (!expr.startsWith('up{')) expect(asked).not.toEqual([]);
  for (const { name, asked: wanted } of asked) {
    const metric = name.replace(/_bucket$/, '');
    expect(exposition).toContain(`# TYPE ${metric} ${metric === name ? '' : 'histogram'}`);
    const known = [...(labels.get(metric) ?? []), ...ADDED];
    expect(wanted.filter((label) => !known.includes(label))).toEqual([]);
  }
});

test('what alerts count stands at 0 before it happens: the first time would be no increase otherwise', () => {
  expect(exposition).toContain('breakwater_reattachments_total{cause="link-lost",result="failed"} 0\n');
  expect(exposition).toContain('breakwater_reattachments_total{cause="drain",result="ok"} 0\n');
  expect(exposition).toContain('breakwater_connect_rejected_total{reason="no-node"} 0\n');
  expect(exposition).toContain('breakwater_log_lines_dropped_total 0\n');
});

describe('alerts', () => {
  const page = read('docs/operations.md');
  const paragraphOf = (alert: string) => page.split(`#### ${alert}\n`)[1]?.split('\n#')[0]?.trim() ?? '';

  test.each(
    rules.map((rule) => [rule.alert, rule] as const),
  )('%s has a runbook and a severity', (alert, rule) => {
    expect(rule.annotations.runbook).toBe(`docs/operations.md#${alert.toLowerCase()}`);
    expect(paragraphOf(alert).length).toBeGreaterThan(150);
    expect(['page', 'ticket']).toContain(rule.labels.severity);
  });

  test('every runbook is that of an alert', () => {
    const headings = [...page.matchAll(/^#### (Breakwater\w+)$/gm)].map(([, name]) => name);
    expect(headings).toEqual(rules.map(({ alert }) => alert));
  });

  test('each is tested to be silent and to be told', () => {
    const tests: readonly RuleTest[] = parse(read('cluster/alerts.test.yml')).tests.flatMap(
      ({ alert_rule_test }: { alert_rule_test: RuleTest[] }) => alert_rule_test,
    );
    for (const { alert } of rules) {
      const told = tests.filter(({ alertname }) => alertname === alert).map((one) => one.exp_alerts.length);
      expect([alert, Math.min(...told), Math.max(...told)]).toEqual([alert, 0, 1]);
    }
  });
});

describe.skipIf(!hasPromtool)('promtool', () => {
  test('finds nothing wrong with /metrics', () => {
    expect(() => promtool(['check', 'metrics'], exposition)).not.toThrow();
  });

  test('finds nothing wrong with the alert rules, and each comes when it should', () => {
    expect(promtool(['check', 'rules', 'cluster/alerts.yml'])).toContain(`${rules.length} rules found`);
    expect(promtool(['test', 'rules', 'cluster/alerts.test.yml'])).toContain('SUCCESS');
  });

  test('reads every expression of the dashboard', () => {
    const file = join(temporaryDirectory(), 'dashboard.yml');
    const recorded = drawn.map((expr, index) => ({ record: `panel:${index}`, expr }));
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: recorded }] }));
    expect(promtool(['check', 'rules', file])).toContain(`${drawn.length} rules found`);
  });
});
