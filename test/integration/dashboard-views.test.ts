import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAdmin } from '../support/admin.ts';
import {
  DESKTOP,
  newContext,
  noBrowser,
  openPage,
  seriousFindings,
  startBrowser,
} from '../support/browser.ts';
import { lossOfNode, threeInTheMorning } from '../support/dashboard-scene.ts';
import { silentLog } from '../support/memory-backend.ts';

/**
 * Every view of the dashboard as people see it: in light, in dark and on a phone. With DASHBOARD_PICTURES=docs/images the
 * pictures of the documentation are made anew.
 */

const pictures = process.env.DASHBOARD_PICTURES;
const phone = { viewport: { width: 390, height: 844 } };
interface View {
  readonly name: string;
  readonly at: string;
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly colorScheme?: 'light' | 'dark';
}
const views: readonly View[] = [
  { name: 'light', at: '#overview' },
  { name: 'dark', at: '#overview', colorScheme: 'dark' },
  { name: 'phone', at: '#overview', ...phone },
  { name: 'phone-dark', at: '#overview', ...phone, colorScheme: 'dark' },
  { name: 'node', at: '#node/emqx-3' },
  { name: 'node-phone', at: '#node/emqx-2', ...phone, colorScheme: 'dark' },
  { name: 'devices', at: '#devices' },
  { name: 'devices-phone', at: '#devices', ...phone },
  { name: 'device', at: '#device/meter-1000', colorScheme: 'dark' },
  { name: 'device-light', at: '#device/meter-1000' },
];

describe.skipIf(noBrowser !== '')(`the views of the dashboard${noBrowser}`, () => {
  let browser: Browser;
  let page: Page;
  let faults: string[];
  let url: string;

  beforeAll(async () => {
    const backend = threeInTheMorning();
    for (const event of lossOfNode()) backend.emit(event);
    const tokens = () => [];
    const admin = await startAdmin({ url: 'http://127.0.0.1:0', tokens, backend, log: silentLog });
    url = admin.url;
    browser = await startBrowser();
    ({ page, faults } = await openPage(await newContext(browser)));
    await page.clock.install();
    return () => admin.close();
  });
  afterAll(() => browser?.close());

  async function show({ at, viewport = DESKTOP, colorScheme = 'light' }: View): Promise<void> {
    await page.setViewportSize(viewport);
    await page.emulateMedia({ colorScheme });
    await page.goto(`${url}/${at}`);
    await page.locator('#live', { hasText: /^live$/ }).waitFor({ state: 'attached' });
    // Lines need a past: some polls, as fast as they are answered.
    for (let poll = 0; poll < (pictures === undefined ? 2 : 40); poll++) {
      const answered = page.waitForResponse((response) => response.url().endsWith('/proxies'));
      await page.clock.runFor(2100);
      await answered;
    }
  }

  test.each(views)('$name: nothing is in the way of anybody, and nothing is cut off', async (view) => {
    await show(view);
    if (pictures !== undefined) await page.screenshot({ path: `${pictures}/dashboard-${view.name}.png` });
    expect(await seriousFindings(page)).toEqual([]);
    const wide = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
    expect(wide, 'the page is wider than the screen').toBeLessThanOrEqual(0);
    expect(faults).toEqual([]);
  });
});
