"""Why a solver stopped, as a sentence, in English and Korean.

Examples
--------
>>> print(sentence("converged", "en", measure=1e-9, tolerance=1e-8))
Converged: the optimality conditions hold (residual 1.0e-09, tolerance 1.0e-08).
"""

from __future__ import annotations

from thalweg.errors import OptionError, suggest

__all__ = ["SENTENCES", "sentence"]

SENTENCES: dict[str, dict[str, str]] = {
    "en": {
        "converged": "Converged: the optimality conditions hold (residual {measure:.1e}, "
        "tolerance {tolerance:.1e}).",
        "goal_met": "The goal was met.",
        "step_too_small": "Stopped: no step lowers the objective any further in double "
        "precision (optimality residual {measure:.1e}, tolerance {tolerance:.1e}).",
        "iterations_used_up": "Stopped: all {iterations} iterations are used up (optimality "
        "residual {measure:.1e}). Raise max_iterations to go on.",
        "evaluations_used_up": "Stopped: all {evaluations} function evaluations are used up "
        "(optimality residual {measure:.1e}). Raise max_evaluations to go on.",
        "time_used_up": "Stopped: the time limit is reached (optimality residual "
        "{measure:.1e}). Raise max_time to go on.",
        "infeasible": "Infeasible: the constraints cannot be met near this point; it violates "
        "them least ({violation:.1e}). Another start may do better, if they can be met at all.",
        "unbounded": "Unbounded: the objective falls without limit (it reached {fun:.3e}).",
        "diverged": "Diverged: the iterates leave every bound ({detail}).",
        "not_finite": "Not finite: {detail}.",
        "stopped_by_callback": "Stopped by the callback.",
        "interrupted": "Interrupted; this is the best point so far.",
    },
    "ko": {
        "converged": "수렴했습니다: 최적성 조건을 만족합니다(잔차 {measure:.1e}, "
        "허용 오차 {tolerance:.1e}).",
        "goal_met": "목표에 도달했습니다.",
        "step_too_small": "멈췄습니다: 배정밀도에서 목적 함수를 더 낮추는 스텝이 없습니다"
        "(최적성 잔차 {measure:.1e}, 허용 오차 {tolerance:.1e}).",
        "iterations_used_up": "멈췄습니다: 반복 {iterations}회를 모두 썼습니다(최적성 잔차 "
        "{measure:.1e}). 계속하려면 max_iterations를 늘리십시오.",
        "evaluations_used_up": "멈췄습니다: 함수 계산 {evaluations}회를 모두 썼습니다(최적성 "
        "잔차 {measure:.1e}). 계속하려면 max_evaluations를 늘리십시오.",
        "time_used_up": "멈췄습니다: 시간 제한에 이르렀습니다(최적성 잔차 {measure:.1e}). "
        "계속하려면 max_time을 늘리십시오.",
        "infeasible": "실행 불가능합니다: 이 점 근처에서는 제약 조건을 만족할 수 없고, 이 점에서 "
        "위반이 가장 작습니다({violation:.1e}). 다른 시작점에서는 나을 수 있습니다.",
        "unbounded": "유계가 아닙니다: 목적 함수가 한없이 내려갑니다({fun:.3e}에 이르렀습니다).",
        "diverged": "발산했습니다: 반복점이 한없이 멀어집니다({detail}).",
        "not_finite": "유한하지 않습니다: {detail}.",
        "stopped_by_callback": "콜백이 멈췄습니다.",
        "interrupted": "중단되었습니다. 지금까지 가장 좋은 점입니다.",
    },
}


def sentence(reason: str, language: str = "en", **facts: float | str) -> str:
    """The sentence of a reason.

    Parameters
    ----------
    reason : str
        A key of `SENTENCES`.
    language : {"en", "ko"}
    **facts
        What the sentence quotes.

    Raises
    ------
    OptionError
        For a language that is not in the catalogue.
    """
    if language not in SENTENCES:
        raise OptionError(
            "no messages in {language!r}.{hint}",
            language=language,
            hint=suggest(language, SENTENCES),
        )
    return SENTENCES[language][reason].format(**facts)
