/** Opens the list with only the monitors whose names match. */
export async function openList(page, url, search = '') {
  await page.goto(url(search ? `/?q=${encodeURIComponent(search)}` : '/'));
  await page.getByRole('heading', { level: 1, name: 'Monitors' }).waitFor();
}

export function row(page, name) {
  return page.getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) });
}
