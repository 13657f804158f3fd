import axe from 'axe-core';
import { textMatches } from '../lib/assert.mjs';
import { addWebsite } from '../lib/server.mjs';
import { startTarget } from '../lib/target.mjs';
import { test } from '../lib/test.mjs';

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

const unfold = (page) =>
  page.evaluate(() => {
    for (const details of document.querySelectorAll('details')) details.open = true;
  });

/** Each page, and how to know that all of it is there. */
const PAGES = [
  ['list', () => '/', (page) => page.locator('.row').first().waitFor()],
  [
    'list, nothing found',
    () => '/?q=nothing-is-called-this',
    (page) => page.getByRole('button', { name: 'Show all' }).waitFor(),
  ],
  [
    'monitor',
    ({ up }) => `/monitors/${up}?range=15m`,
    async (page) => {
      await page.locator('.chart canvas').first().waitFor();
      await page
        .getByRole('button', { name: /^Show data table/ })
        .first()
        .click();
      await page.locator('.results tbody tr').first().waitFor();
    },
  ],
  [
    'monitor, down',
    ({ down }) => `/monitors/${down}`,
    async (page) => {
      await textMatches(page.locator('.monitor-state'), /^Down/);
      await page.getByRole('region', { name: 'Last failure' }).locator('.evidence').waitFor();
      await unfold(page);
    },
  ],
  [
    'add',
    () => '/monitors/new',
    async (page) => {
      await page.locator('summary').first().waitFor();
      await unfold(page);
      await page.getByRole('button', { name: 'Add monitor' }).click();
      await page.locator('.field-error').first().waitFor();
    },
  ],
  [
    'edit',
    ({ up }) => `/monitors/${up}/edit`,
    async (page) => {
      await page.locator('summary').first().waitFor();
      await unfold(page);
    },
  ],
  [
    'help',
    () => '/',
    async (page) => {
      await page.locator('.row').first().waitFor();
      await page.keyboard.press('?');
      await page.getByRole('dialog').waitFor();
    },
  ],
  ['not found', () => '/nowhere', (page) => page.getByText('Page not found').first().waitFor()],
];

for (const colorScheme of ['light', 'dark']) {
  for (const width of [1366, 390]) {
    test(
      `no page breaks a rule of accessibility, ${colorScheme}, ${width} px`,
      async ({ page, url }) => {
        const target = await startTarget();
        const gone = await startTarget();
        await gone.stop();
        try {
          const up = (await addWebsite(`axe ${colorScheme} ${width}`, target.url, { tags: { team: 'web' } }))
            .id;
          const down = (await addWebsite(`axe ${colorScheme} ${width} gone`, gone.url, { depends_on: [up] }))
            .id;
          const found = [];
          for (const [name, path, ready] of PAGES) {
            await page.goto(url(path({ up, down })));
            await page.getByRole('heading', { level: 1 }).waitFor();
            await ready(page);
            // Below the header that stays in place everything would count as covered.
            await page.evaluate(() => window.scrollTo(0, 0));
            await page.evaluate(axe.source);
            const { violations } = await page.evaluate(
              (tags) => globalThis.axe.run(document, { runOnly: tags }),
              TAGS,
            );
            for (const { id, help, nodes } of violations) {
              found.push(
                `${name}: ${id}: ${help}\n  ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join('\n  ')}`,
              );
            }
          }
          if (found.length > 0) throw new Error(found.join('\n'));
        } finally {
          await target.stop();
        }
      },
      { context: { colorScheme, viewport: { width, height: 844 } } },
    );
  }
}
