import { useSignal } from '@preact/signals';
import type { IconNode } from 'lucide';
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { Icon } from './icon.tsx';

export interface MenuItem {
  readonly label: string;
  readonly icon: IconNode;
  readonly isDangerous?: boolean;
  readonly act: () => void;
}

interface MenuProps {
  readonly label: string;
  readonly items: readonly MenuItem[];
  readonly children: ComponentChildren;
  readonly class?: string;
}

/** A button that opens a list of things to do; with arrows, Home, End and Escape, as a menu of the system. */
export function Menu({ label, items, children, class: className = 'icon-button' }: MenuProps) {
  const isOpen = useSignal(false);
  const button = useRef<HTMLButtonElement>(null);
  const close = (isBack: boolean): void => {
    isOpen.value = false;
    if (isBack) button.current?.focus();
  };
  return (
    <span class="menu-place">
      <button
        ref={button}
        type="button"
        class={className}
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={isOpen.value}
        onClick={(event) => {
          event.stopPropagation();
          isOpen.value = !isOpen.value;
        }}
      >
        {children}
      </button>
      {isOpen.value && <MenuList label={label} items={items} close={close} />}
    </span>
  );
}

/** px from the edges of what it is scrolled in, or of the window. */
const EDGE_PX = 8;

/** Opened near the lower edge it goes up, near the edge of a side it moves away from it. */
function stayInSight(menu: HTMLElement): void {
  const around = menu.closest('.timeline, .list, .panel-body') ?? document.documentElement;
  const sight = around.getBoundingClientRect();
  const { bottom, left, right } = menu.getBoundingClientRect();
  if (bottom > sight.bottom) menu.classList.add('menu-up');
  const tooFarLeft = Math.max(0, sight.left + EDGE_PX - left);
  const tooFarRight = Math.max(0, right - (sight.right - EDGE_PX));
  menu.style.translate = `${tooFarLeft - tooFarRight}px`;
}

function MenuList({ label, items, close }: Pick<MenuProps, 'label' | 'items'> & { close: (isBack: boolean) => void }) {
  const list = useRef<HTMLDivElement>(null);
  // Before it is painted: it never stands out of sight.
  useLayoutEffect(() => {
    const menu = list.current;
    if (!menu) return undefined;
    menu.querySelector('button')?.focus();
    stayInSight(menu);
    const outside = (event: Event): void => {
      if (!menu.contains(event.target as Node)) close(false);
    };
    addEventListener('pointerdown', outside, true);
    return () => removeEventListener('pointerdown', outside, true);
  }, []);
  const onKeyDown = (event: KeyboardEvent): void => {
    const buttons = [...(list.current?.querySelectorAll('button') ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
    const next = to[event.key];
    if (event.key === 'Escape' || event.key === 'Tab') close(event.key === 'Escape');
    if (next === undefined && event.key !== 'Escape') return;
    event.preventDefault();
    event.stopPropagation();
    if (next !== undefined) buttons.at(next % buttons.length)?.focus();
  };
  return (
    <div ref={list} class="menu" role="menu" aria-label={label} onKeyDown={onKeyDown}>
      {items.map(({ label, icon, isDangerous, act }) => (
        <button
          key={label}
          type="button"
          role="menuitem"
          tabIndex={-1}
          class={isDangerous ? 'danger' : ''}
          onClick={(event) => {
            event.stopPropagation();
            close(true);
            act();
          }}
        >
          <Icon of={icon} size={16} />
          {label}
        </button>
      ))}
    </div>
  );
}
