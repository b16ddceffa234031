"""Edges of the core's rules that other tests pass by: each of these was found because a changed line went unnoticed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from monitor.motion import MOTION, Movement, move
from monitor.order import order, unseen
from monitor.settings import Motion, Order
from tests.handmade import LAT, NORTH, Report, batch, every, told
