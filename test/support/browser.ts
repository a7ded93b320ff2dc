import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

/** A real browser, without any network of its own. */

const CHROMIUM = '/usr/bin/chromium';

/** Why tests in a browser are left out; empty where they are not. */
export const noBrowser = existsSync(CHROMIUM)
  ? ''
  : ` (skipped: no ${CHROMIUM}; install the package chromium)`;

export function startBrowser(): Promise<Browser> {
  const quiet = ['background-networking', 'component-update', 'sync', 'quic'].map(
    (what) => `--disable-${what}`,
  );
  const args = ['--no-sandbox', '--disable-gpu', '--no-first-run', ...quiet];
  return chromium.launch({ executablePath: CHROMIUM, args });
}

/** A page, with what its policy refused and every exception in `faults`. */
export async function openPage(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; faults: string[] }> {
  const defaults = { viewport: { width: 1440, height: 900 }, colorScheme: 'light' } as const;
  const page = await browser.newPage({ ...defaults, ...options });
  const faults: string[] = [];
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  page.on('pageerror', (error) => faults.push(error.message));
  return { page, faults };
}

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** What axe-core finds that keeps somebody from using the page, a line each. */
export async function seriousFindings(page: Page): Promise<string[]> {
  // The page's policy holds for its own scripts; the debugger runs this one.
  await page.evaluate(readFileSync(axe, 'utf8'));
  const found = (await page.evaluate('axe.run().then(({ violations }) => violations)')) as Violation[];
  return found
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`),
    );
}
