"""The console's icons: SVG paths on a grid of 24, drawn as lines; no font, no request."""

from __future__ import annotations

from typing import Final

PATHS: Final = {
    "home": '<path d="M4 13h7V4H4zM13 20h7v-9h-7zM4 20h7v-4H4zM13 4v4h7V4z"/>',
    "jobs": '<path d="M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01"/>',
    "dead": '<path d="M3 13h5l1.5 3h5L16 13h5"/><path d="M5 5h14l2 8v6H3v-6z"/>',
    "srv": (
        '<rect x="3" y="4" width="18" height="7" rx="2"/>'
        '<rect x="3" y="13" width="18" height="7" rx="2"/>'
        '<path d="M7 7.5h.01M7 16.5h.01"/>'
    ),
    "pool": '<path d="M12 3l9 5-9 5-9-5zM3 13l9 5 9-5"/>',
    "chip": (
        '<rect x="6" y="6" width="12" height="12" rx="2"/>'
        '<path d="M10 2v4M14 2v4M10 18v4M14 18v4M2 10h4M2 14h4M18 10h4M18 14h4"/>'
    ),
    "ten": (
        '<path d="M4 21V5l8-2v18M12 9h8v12M2 21h20M8 8h.01M8 12h.01M8 16h.01M16 13h.01M16 17h.01"/>'
    ),
    "shield": '<path d="M12 3l8 3v6c0 5-3.5 8-8 9-4.500-1-8-4-8-9V6z"/>',
    "check": '<path d="M5 12.500l4.500 4.500L19 7.500"/>',
    "x": '<path d="M6 6l12 12M18 6L6 18"/>',
    "pause": '<path d="M9 5v14M15 5v14"/>',
    "play": '<path d="M8 5l11 7-11 7z"/>',
    "clock": '<circle cx="12" cy="12" r="9"/><path d="M12 7v5l3.500 2"/>',
    "lock": ('<rect x="5" y="11" width="14" height="9" rx="2"/><path d="M8 11V8a4 4 0 018 0v3"/>'),
    "alert": '<path d="M12 4l9.500 16h-19zM12 10v4M12 17h.01"/>',
    "slash": '<circle cx="12" cy="12" r="9"/><path d="M6 18L18 6"/>',
    "half": (
        '<circle cx="12" cy="12" r="9"/><path d="M12 3v18M12 3a9 9 0 010 18" fill="currentColor"/>'
    ),
    "spin": '<path d="M12 3a9 9 0 109 9"/>',
    "redo": '<path d="M20 11a8 8 0 10-2 6M20 4v7h-7"/>',
    "info": '<circle cx="12" cy="12" r="9"/><path d="M12 11v5M12 8h.01"/>',
    "hour": '<path d="M7 3h10M7 21h10M8 3c0 5 8 5 8 9s-8 4-8 9M16 3c0 5-8 5-8 9s8 4 8 9"/>',
    "back": '<path d="M15 6l-6 6 6 6"/>',
    "down": '<path d="M12 4v11M7 11l5 5 5-5M4 20h16"/>',
    "chev": '<path d="M9 6l6 6-6 6"/>',
    "plus": '<path d="M12 5v14M5 12h14"/>',
    "copy": ('<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M15 9V4H4v11h5"/>'),
    "find": '<circle cx="11" cy="11" r="6"/><path d="M15.500 15.500L20 20"/>',
    "edit": '<path d="M4 20h4L19 9l-4-4L4 16zM13 7l4 4"/>',
    "audit": '<path d="M6 3h9l4 4v14H6zM9 12h7M9 16h7M9 8h3"/>',
    "coin": (
        '<circle cx="12" cy="12" r="9"/>'
        '<path d="M15 9c-.6-1-1.700-1.500-3-1.500-1.700 0-3 .8-3 2.200 0 3.200 6 1.400 6 '
        "4.600 0 1.400-1.300 2.200-3 2.200-1.300 0-2.400-.5-3-1.500M12 6v1.500M12 "
        '16.500V18"/>'
    ),
}
