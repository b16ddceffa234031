"""The sentences in French; `english` has the same, in the same order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from monitor.alerts.whereabouts import clock_time, length
from monitor.explain.case import Case, Rest
from monitor.explain.figures import interval, position, span
from monitor.explain.spot import Bar, Reason, Spot

LOADS: Mapping[str, str] = {
    "standard": "chargement ordinaire",
    "local": "chargement local",
    "high_value": "chargement de grande valeur",
    "dangerous": "marchandises dangereuses",
}
PLACES: Mapping[str, str] = {
    "yard": "cour",
    "customer": "client",
    "drop": "dépôt de remorques",
    "rest_area": "halte routière",
    "fuel": "relais routier",
    "parking": "stationnement pour camions",
    "repair": "atelier de réparation",
    "port_of_entry": "point d'entrée",
    "inspection_station": "poste de contrôle routier",
    "no_stop": "zone sans arrêt",
    "high_risk": "zone à risque",
    "restricted": "lieu interdit d'accès",
    "dead_zone": "zone sans couverture",
    "jurisdiction": "territoire de police",
}
ALARMS: Mapping[str, str] = {
    "panic": "alarme de détresse, pas encore expliquée",
    "jamming": "alarme de brouillage, pas encore expliquée",
    "tamper": "alarme de manipulation, pas encore expliquée",
    "power_cut": "alimentation de l'appareil coupée, pas encore expliqué",
    "tow": "alarme de remorquage, pas encore expliquée",
}
REPORTED: Mapping[str, str] = {
    "panic": "la détresse",
    "jamming": "un brouillage de ses signaux",
    "tamper": "qu'on le manipule",
    "power_cut": "une coupure d'alimentation",
    "tow": "un remorquage du véhicule",
}
SEVERITIES: Mapping[str, str] = {"note": "NOTE", "warning": "AVERTISSEMENT", "critical": "CRITIQUE"}
TITLES: Mapping[str, str] = {
    "unauthorized_stop": "arrêt imprévu, pas encore expliqué",
    "route_deviation": "hors de l'itinéraire prévu, pas encore expliqué",
    "wrong_way": "retour en arrière sur l'itinéraire prévu, pas encore expliqué",
    "long_dwell": "séjour plus long que prévu",
    "zone_breach": "présence qu'un lieu ne permet pas, pas encore expliquée",
    "after_hours_movement": "déplacement alors qu'aucun n'était prévu, pas encore expliqué",
    "separation": "tracteur et remorque séparés, pas encore expliqué",
    "signal_lost": "aucune position reçue, pas encore expliqué",
    "door_open": "porte de chargement ouverte, pas encore expliqué",
    "device_alarm": "alarme de l'appareil, pas encore expliquée",
    "impossible_movement": "position trop éloignée pour être vraie",
}


def unauthorized_stop(case: Case) -> str:
    """Immobile, où, à quelle distance d'un lieu permis, limite et raison."""
    return f"immobile {_lasted(case)}{_at(case.spot)}{_bars(case.spot)}{_away(case.spot)}; {_stop_limit(case)}{_presumed(case)}"


def route_deviation(case: Case) -> str:
    """De combien hors de quel itinéraire, depuis quand, limite et raison."""
    off = f"jusqu'à {length(case.signal.measure, 'fr')} de son itinéraire {case.route_name}".rstrip()
    return f"{off}, {_when(case)}; {_limit(length(case.signal.limit, 'fr'), case.corridor_reason())}{_presumed(case)}"


def wrong_way(case: Case) -> str:
    """De combien en arrière sur quel itinéraire, depuis où."""
    back = f"revenu de {length(case.signal.measure, 'fr')} en arrière sur son itinéraire {case.route_name}".rstrip()
    turned = f"depuis le point le plus avancé, atteint à {_hour(case, case.signal.since)}{_at(case.spot)}"
    return f"{back} {turned}{_ending(case, 'back_m')}"


def long_dwell(case: Case) -> str:
    """Dans quel lieu, combien de temps, limite et raison."""
    limit = _limit(span(case.signal.limit * 1000), case.dwell_reason())
    return f"dans : {_place(case)}, pendant {_lasted(case)}; {limit}{_presumed(case)}"


def zone_breach(case: Case) -> str:
    """Dans un lieu interdit d'accès, ou hors d'une cour en dehors de ses heures."""
    if case.place is not None and case.place.kind == "yard":
        hours = f" (ouvert {case.place.hours.text})" if case.place.hours else ""
        return f"parti de : {_place(case)}, à {_hour(case, case.signal.since)}, en dehors de ses heures{hours}"
    held = f", pendant {_lasted(case)}" if case.signal.measure >= 1 else ""
    return f"dans : {_place(case)}{held}, {_when(case)}{_ending(case, 'limit')}"


def after_hours_movement(case: Case) -> str:
    """De combien il s'est déplacé, depuis quand, et ce qui l'interdisait."""
    moved = f"déplacé de {length(case.signal.measure, 'fr')} depuis qu'il s'est arrêté ou pouvait rouler"
    return f"{moved}, {_when(case)}, {_forbidden(case)}{_ending(case, 'moved_m')}"


def separation(case: Case) -> str:
    """À quelle distance sont tracteur et remorque, en route."""
    trailer = f" {case.trip.trailer}" if case.trip and case.trip.trailer else ""
    return (
        f"en route jusqu'à {length(case.signal.measure, 'fr')} de sa remorque{trailer}, {_when(case)}{_ending(case, 'apart_m')}"
    )


def signal_lost(case: Case) -> str:
    """Depuis quand rien n'est reçu, dans quel état, ce que la distance explique, limite et raison."""
    signal, state = case.signal, "à l'arrêt" if case.stood else "en route"
    silent = f"silencieux {_silent(case)}; reçu pour la dernière fois {state}{_at(case.spot)}"
    if case.place is not None:
        silent += f", dans : {_place(case)}"
    if signal.until is not None:
        rest = f"{span(signal.measure * 60_000)} de {span(signal.until - signal.since)} sans explication"
        silent += f"; {rest} à {case.assumed_kmh:.0f} km/h" if signal.measure else "; la distance parcourue explique ce temps"
        silent += ", puis reçu ailleurs" if signal.severity == "critical" else ""
    third = span(signal.limit * 20_000)
    reason = case.silence_reason()
    because = {
        "rhythm": f" : trois de ses intervalles de {third} {state}",
        "first": f" : trois fois {third}, tant que son rythme à l'arrêt n'est pas connu",
    }.get(reason.level)
    limit = span(signal.limit * 60_000)
    return f"{silent}; {_limit(limit, reason) if because is None else f'limite {limit}{because}'}"


def door_open(case: Case) -> str:
    """Depuis quand la porte est ouverte, et pourquoi elle ne devrait pas l'être là."""
    where = ", en route" if case.spot.inside else f"{_bars(case.spot)}{_away(case.spot)}"
    return f"sa porte de chargement {'était' if case.ended else 'est'} ouverte {_when(case)}{where}{_ending(case, 'limit')}"


def device_alarm(case: Case) -> str:
    """Quelle alarme l'appareil signale, depuis quand."""
    name = REPORTED.get(case.signal.detail or "", "une alarme")
    parameter = "jamming_limit" if case.signal.detail == "jamming" else "limit"
    return f"son appareil {'a signalé' if case.ended else 'signale'} {name} {_when(case)}{_ending(case, parameter)}"


def impossible_movement(case: Case) -> str:
    """De combien la position a sauté d'un coup, et de combien elle aurait pu."""
    moved = f"sa position a sauté de {length(case.signal.measure, 'fr')} d'un coup à {_hour(case, case.signal.since)}"
    moved += f", jusqu'à {position(case.spot.lon, case.spot.lat)}" if case.spot.known else ""
    return f"{moved}; à {case.jump_kmh:.0f} km/h, pas plus de {length(case.signal.limit, 'fr')} n'était possible"


KINDS: Mapping[str, Callable[[Case], str]] = {
    "unauthorized_stop": unauthorized_stop,
    "route_deviation": route_deviation,
    "wrong_way": wrong_way,
    "long_dwell": long_dwell,
    "zone_breach": zone_breach,
    "after_hours_movement": after_hours_movement,
    "separation": separation,
    "signal_lost": signal_lost,
    "door_open": door_open,
    "device_alarm": device_alarm,
    "impossible_movement": impossible_movement,
}


def other(case: Case) -> str:
    """Ce qui est dit d'une sorte sans phrase à elle : combien, et quelle limite."""
    measure, limit = (_amount(value, case.signal.unit) for value in (case.signal.measure, case.signal.limit))
    return f"{measure}, {_when(case)}; limite {limit}{_presumed(case)}"


def rest(rest: Rest) -> str:
    """Pourquoi personne n'a été averti d'un arrêt, ou ce qui a été signalé."""
    if rest.raised:
        return f"signalé : {', '.join(dict.fromkeys(TITLES[signal.kind] for signal in rest.raised))}"
    stood = span(rest.stood_ms)
    if not rest.stop.authorized:
        limit, short = span(rest.limit_s * 1000), rest.stood_ms < rest.limit_s * 1000
        under = f"{stood} de {limit} permises ici" if short else f"{stood}, dont moins de {limit} où il ne peut pas"
        return f"{under}{_bars(rest.spot)}{_away(rest.spot)}"
    if rest.authorization is not None:
        until = clock_time(rest.authorization.ends_at, rest.spot.zone, "fr")
        return f"autorisé jusqu'à {until} par {rest.authorization.by} : {rest.authorization.why}; {stood}"
    where = f"lieu approuvé, {PLACES[rest.place.kind]} {rest.place.name}" if rest.place else "où il peut s'arrêter"
    return f"{where}; {stood}" + (f" de {span(rest.dwell_s * 1000)}" if math.isfinite(rest.dwell_s) else ", sans limite")


def _lasted(case: Case) -> str:
    """Combien de temps, et si cela dure encore : « 34 min jusqu'ici »."""
    return span(case.signal.measure * 1000) + ("" if case.ended else " jusqu'ici")


def _hour(case: Case, ms: int) -> str:
    return clock_time(ms, case.spot.zone, "fr")


def _when(case: Case) -> str:
    """« depuis 05:00 HNE, d'abord à 43.62000, -79.71000 », ou « de 05:00 à 05:40 HNE, d'abord à ... »."""
    return f"{_silent(case)}, d'abord{_at(case.spot)}"


def _silent(case: Case) -> str:
    """« depuis 05:00 HNE », ou « de 05:00 à 05:40 HNE »."""
    if case.signal.until is None:
        return f"depuis {_hour(case, case.signal.since)}"
    begin, end = interval(case.signal.since, case.signal.until, case.spot.zone, "fr")
    return f"de {begin} à {end}"


def _at(spot: Spot) -> str:
    return f" à {position(spot.lon, spot.lat)}" if spot.known else " à une position inconnue"


def _place(case: Case) -> str:
    """« Halte de Puslinch (halte routière) »."""
    return (
        f"{case.place_name} ({PLACES[case.place.kind]})" if case.place else case.place_name or "un lieu qui n'est plus au dossier"
    )


def _bars(spot: Spot) -> str:
    """Les lieux autour de lui où il ne peut pas s'arrêter, et pourquoi."""
    return "".join(f", dans : {bar.place.name} ({PLACES[bar.place.kind]}), {_barred(bar)}" for bar in spot.bars)


def _barred(bar: Bar) -> str:
    if bar.why == "closed":
        return f"fermé à cette heure (ouvert {bar.place.hours.text if bar.place.hours else ''})"
    return "que son voyage ne nomme pas" if bar.why == "unnamed" else "où aucun véhicule ne peut s'arrêter"


def _away(spot: Spot) -> str:
    """À quelle distance est le lieu le plus proche où il peut s'arrêter."""
    if not spot.known:
        return ""
    if spot.nearest is None:
        return ", et aucun lieu permis n'est au dossier"
    place, metres = spot.nearest
    return "" if metres == 0.0 else f", à {length(metres, 'fr')} du lieu permis le plus proche : {place.name}"


def _stop_limit(case: Case) -> str:
    limit = span(case.signal.limit * 1000)
    if case.red_zone_m is not None and case.origin is not None:
        origin, metres = case.origin
        away = f"à {length(metres, 'fr')} de son origine ({origin.name})"
        return f"limite {limit} : {LOADS['high_value']}, {away}, dans la zone rouge de {length(case.red_zone_m, 'fr')}"
    reason = case.stop_reason()
    if case.place is not None:
        special = "" if reason.level in ("", "rule") else f", {_because(reason)}"
        grave = ", dans la zone rouge" if case.signal.severity == "critical" else ""
        return f"limite {limit} : dans {_place(case)}{special}{grave}"
    return _limit(limit, reason)


def _ending(case: Case, parameter: str) -> str:
    """Ce qui termine une phrase : la limite s'il y en a une, et si le silence l'a atteinte."""
    signal = case.signal
    reason = case.spot.reason(signal.kind, parameter, signal.limit)
    return (f"; {_limit(_amount(signal.limit, signal.unit), reason)}" if signal.limit else "") + _presumed(case)


def _limit(limit: str, reason: Reason) -> str:
    """« limite 15 min : chargement de grande valeur », « limite 30 min en règle générale »."""
    if reason.level == "rule":
        return f"limite {limit} en règle générale"
    return f"limite {limit} : {_because(reason)}" if reason.level else f"limite {limit}"


def _because(reason: Reason) -> str:
    if reason.level == "load":
        return LOADS[reason.name]
    fixed = {"route": "couloir de cet itinéraire", "place": "fixée pour ce lieu"}
    named = {"trip": "voyage", "carrier": "transporteur"}
    return fixed.get(reason.level, f"fixée pour le {named.get(reason.level, '')} {reason.name}")


def _forbidden(case: Case) -> str:
    """Ce qui interdisait le déplacement."""
    if case.signal.severity == "critical":
        lockdown = case.lockdown
        return f"sous une immobilisation ordonnée par {lockdown.by} : {lockdown.why}" if lockdown else "sous une immobilisation"
    said = [f"hors des heures {case.hours}"] if case.hours else []
    return " et ".join([*said, *(["sans voyage"] if case.tripless else [])]) or "alors qu'il ne devait pas bouger"


def _presumed(case: Case) -> str:
    return "; présumé : silencieux depuis son dernier rapport, qui le montrait" if case.signal.presumed else ""


def _amount(value: float, unit: str) -> str:
    return length(value, "fr") if unit == "m" else span(value * (60_000 if unit == "min" else 1000))
