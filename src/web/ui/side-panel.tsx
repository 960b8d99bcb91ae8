import { X } from 'lucide';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Panel } from '../state/app.ts';
import { text } from '../text/text.ts';
import { useApp } from './context.ts';
import { Icon } from './icon.tsx';
import { panels } from './panels/panels.ts';

export function SidePanel({ panel }: { panel: Panel }) {
  const { title, body: Body } = panels[panel];
  return (
    <PanelFrame title={text(title)}>
      <Body />
    </PanelFrame>
  );
}

function PanelFrame({ title, children }: { title: string; children: ComponentChildren }) {
  const app = useApp();
  const frame = useRef<HTMLElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    // What one came to type in, where the panel says so.
    const first = frame.current?.querySelector<HTMLElement>('[data-first]');
    (first ?? heading.current)?.focus();
    return () => before?.focus();
  }, [title]);
  const close = (): void => {
    app.panel.value = undefined;
  };
  return (
    <aside class="panel" ref={frame} aria-label={title} onKeyDown={(event) => event.key === 'Escape' && close()}>
      <header class="bar">
        <h2 ref={heading} tabIndex={-1}>
          {title}
        </h2>
        <button type="button" class="icon-button" aria-label={text('close')} title={text('close')} onClick={close}>
          <Icon of={X} />
        </button>
      </header>
      <div class="panel-body">{children}</div>
    </aside>
  );
}
