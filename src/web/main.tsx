/** The web client: a page as one person (the address says who), or the question who one is. */
import { render } from 'preact';
import { Root } from './ui/root.tsx';
import './style/base.css';
import './style/list.css';
import './style/conversation.css';
import './style/panels.css';

render(<Root />, document.getElementById('root') as HTMLElement);

if ('serviceWorker' in navigator) {
  const policy = (window as unknown as { trustedTypes?: TrustedTypes }).trustedTypes?.createPolicy('rookery', {
    createScriptURL: (url) => url,
  });
  const worker = policy ? policy.createScriptURL('/worker.js') : '/worker.js';
  navigator.serviceWorker.register(worker as string).catch(() => undefined);
}

/** Not yet in the library's types. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL(url: string): string },
  ): { createScriptURL(url: string): unknown };
}
