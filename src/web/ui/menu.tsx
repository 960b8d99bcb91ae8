import { useSignal } from '@preact/signals';
import type { IconNode } from 'lucide';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
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

function MenuList({ label, items, close }: Pick<MenuProps, 'label' | 'items'> & { close: (isBack: boolean) => void }) {
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const menu = list.current;
    if (!menu) return undefined;
    menu.querySelector('button')?.focus();
    // Opened near the lower or the right edge it goes up or to the left.
    const { bottom, right } = menu.getBoundingClientRect();
    if (bottom > innerHeight) menu.classList.add('menu-up');
    if (right > innerWidth) menu.classList.add('menu-left');
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
