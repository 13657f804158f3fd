import './theme/tokens.css';
import './theme/base.css';
import './shell/shell.css';
import './ui/ui.css';
import './ui/table.css';
import './charts/charts.css';
import './pages/list/list.css';
import './pages/list/table.css';
import './pages/monitor/monitor.css';
import './pages/monitor/range.css';
import './pages/monitor/evidence.css';
import './pages/form/form.css';
import { render } from 'preact';
import { startLive } from './live/store.ts';
import { startRouter } from './router/router.ts';
import { App } from './shell/app.tsx';
import { startShortcuts } from './shell/shortcuts.ts';
import { startPageHead } from './status/page-head.ts';
import { startTheme } from './theme/theme.ts';
import { startClock } from './time/clock.ts';

const root = document.getElementById('app');
if (root) {
  startTheme();
  startClock();
  startRouter();
  startShortcuts();
  startPageHead();
  startLive();
  render(<App />, root);
}
