"""What a vehicle's reporting can show, in words: one sentence for each detector that is not served, or not well."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.coverage import Lack, Level, Support
from monitor.explain.figures import span, typeset

EVENTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "unauthorized_stop": "a stop",
        "route_deviation": "a detour",
        "wrong_way": "a way back",
        "long_dwell": "a stay",
        "zone_breach": "a visit",
        "after_hours_movement": "a movement",
        "separation": "a separation",
        "signal_lost": "a silence",
        "door_open": "a door opening",
        "device_alarm": "an alarm",
        "impossible_movement": "a jump there and back",
    },
    "fr": {
        "unauthorized_stop": "un arrêt",
        "route_deviation": "un détour",
        "wrong_way": "un retour en arrière",
        "long_dwell": "un séjour",
        "zone_breach": "une visite",
        "after_hours_movement": "un déplacement",
        "separation": "une séparation",
        "signal_lost": "un silence",
        "door_open": "une ouverture de porte",
        "device_alarm": "une alarme",
        "impossible_movement": "un saut aller-retour",
    },
}
"""Language -> kind -> what the detector is to show."""
LACKS: Mapping[str, Mapping[Lack, str]] = {
    "en": {
        Lack.SILENT: "fewer than two positions",
        Lack.IMPRECISE: "no two precise positions: accuracy worse than 200 m, or coordinates of two decimals (1.6 km)",
        Lack.NO_SPEED: "no report says the speed: a slow crawl may read as a stop",
        Lack.NO_DOOR: "no report says whether the cargo door is open",
        Lack.NO_ALARM: "no report carried an alarm: whether this device can is not known",
        Lack.NO_ROUTE: "none of its trips has a route",
        Lack.NO_TRAILER: "none of its trips has a trailer that reports",
        Lack.UNPAIRED: "no two positions at about the same time as its trailer's",
    },
    "fr": {
        Lack.SILENT: "moins de deux positions",
        Lack.IMPRECISE: "pas deux positions précises : exactitude pire que 200 m, ou coordonnées à deux décimales (1,6 km)",
        Lack.NO_SPEED: "aucun rapport ne donne la vitesse : une marche lente peut passer pour un arrêt",
        Lack.NO_DOOR: "aucun rapport ne dit si la porte de chargement est ouverte",
        Lack.NO_ALARM: "aucun rapport n'a porté d'alarme : on ne sait pas si cet appareil le peut",
        Lack.NO_ROUTE: "aucun de ses voyages n'a d'itinéraire",
        Lack.NO_TRAILER: "aucun de ses voyages n'a de remorque qui envoie des rapports",
        Lack.UNPAIRED: "pas deux positions au même moment, à peu près, que celles de sa remorque",
    },
}
LEVELS: Mapping[str, Mapping[Level, str]] = {
    "en": {Level.SUPPORTED: "yes", Level.COARSE: "coarse", Level.UNSUPPORTED: "no"},
    "fr": {Level.SUPPORTED: "oui", Level.COARSE: "grossier", Level.UNSUPPORTED: "non"},
}


def why_served(support: Support, language: str) -> str:
    """Why a detector is served no better: "one report in 1 h 02: a stop shorter than about 2 h 04 cannot be shown"; "" where it is."""
    if support.lack is Lack.NONE:
        return ""
    if support.lack is not Lack.SLOW:
        return typeset(LACKS[language][support.lack], language)
    event, every, shortest = EVENTS[language][support.kind], span(support.interval), span(support.shortest)
    lost = support.level is Level.UNSUPPORTED
    if language == "fr":
        seen = "ne se verrait pas" if lost else "peut échapper"
        return typeset(f"un rapport en {every} : {event} de moins de {shortest} environ {seen}", language)
    return f"one report in {every}: {event} shorter than about {shortest} {'cannot be shown' if lost else 'may be missed'}"
