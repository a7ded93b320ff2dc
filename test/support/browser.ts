import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

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
  const args = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--renderer-process-limit=1', ...quiet];
  return chromium.launch({ executablePath: CHROMIUM, args });
}

export const DESKTOP = { width: 1440, height: 900 };

/** What pages of one test file share: the browser's work for it, and all that it keeps but what belongs to a page's session. */
export function newContext(browser: Browser): Promise<BrowserContext> {
  return browser.newContext({ viewport: DESKTOP, colorScheme: 'light', reducedMotion: 'reduce' });
}

/** A page, with what its policy refused and every exception in `faults`. */
export async function openPage(context: BrowserContext): Promise<{ page: Page; faults: string[] }> {
  const page = await context.newPage();
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
  if (!(await page.evaluate("'axe' in window"))) await page.evaluate(readFileSync(axe, 'utf8'));
  const run = "axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations)";
  const found = (await page.evaluate(run)) as Violation[];
  return found
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`),
    );
}
