// What the views are written with. Texts in templates become text nodes, never HTML.
import { h, Component } from 'preact'
import htm from 'htm'

export const html = htm.bind(h)
export { Component }
export { render, Fragment } from 'preact'
export { useState, useRef, useEffect, useLayoutEffect, useMemo } from 'preact/hooks'
export { signal, computed, effect, batch } from '@preact/signals'
