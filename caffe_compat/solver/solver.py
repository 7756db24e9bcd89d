"""The solver: Caffe's training loop."""

from __future__ import annotations

import logging
import math
import os

import torch
from torch import Tensor

from caffe_compat.errors import WeightsError, expected_got
from caffe_compat.glog import number
from caffe_compat.net import Net
from caffe_compat.proto.caffe_pb2 import SolverParameter
from caffe_compat.prototxt import read_solver, to_text
from caffe_compat.solver.device import device_of_solver
from caffe_compat.solver.learning_rate import advance_step, learning_rate
from caffe_compat.solver.nets import build_test_nets, build_train_net, share_parameters
from caffe_compat.solver.options import check_options
from caffe_compat.solver.progress import Advance, progress_bar
from caffe_compat.solver.ranks import Ranks, SharedLoss
from caffe_compat.solver.report import (
    DisplayTimer,
    SmoothedLoss,
    images_per_batch,
    norms_line,
    output_lines,
    output_values,
)
from caffe_compat.solver.scores import MeanScores
from caffe_compat.solver.signals import Action, ActionRequest
from caffe_compat.solver.snapshots import check_writable, find_learned_net, snapshot_files, snapshot_prefix
from caffe_compat.solver.updater import Updater
from caffe_compat.weights import SolverState, check_hdf5_can_hold, read_solverstate, save_weights, write_solverstate

log = logging.getLogger("caffe_compat")

_ACTIONS = list(Action)


class Solver:
    """Trains a net as a ``SolverParameter`` says.

    Attributes:
        param: the solver's message, in the current format. Read only.
        net: the train net.
        test_nets: the nets of ``test_iter``; they share the train net's parameters.
        iter: the number of updates done.
        action_request: asked between iterations and between test batches whether to stop or to take a snapshot.
    """

    net_class: type[Net] = Net  # what a subclass builds its nets of

    def __init__(
        self,
        source: str | os.PathLike[str] | SolverParameter,
        *,
        path: str | None = None,
        data_start: int = 0,
        device: torch.device | str | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        """Build the nets and load the solver's ``weights``.

        Args:
            source: a path, a prototxt text, or a message (which is left as it is).
            path: the file a message came from, for default names and error messages.
            data_start: the record at which the train net's data start. Caffe starts over when it resumes; to go on
                where a run stopped, give iterations done x batch size x iter_size.
            device: where to train; by default what ``solver_mode`` and ``device_id`` say.
            ranks: the processes that train the net together, from ``ranks.join``; by default this one alone. The root
                alone tests, takes snapshots and asks for actions.
        Raises: CaffeCompatError for whatever is wrong with the solver, the nets, the data or the weights.
        """
        if data_start < 0:
            raise ValueError(f"data_start: {expected_got('>= 0', data_start)}")
        self.param, self.path = read_solver(source)
        self.path = self.path or path
        if prefix := snapshot_prefix(self.param, self.path):
            self.param.snapshot_prefix = prefix
        log.info("Initializing solver from parameters: \n%s", to_text(self.param).rstrip("\n"))
        check_options(self.param, self.path)
        self.ranks = ranks or Ranks()
        if self.param.snapshot:
            self._check_snapshot_folder()
        self.device = device_of_solver(self.param) if device is None else torch.device(device)
        if self.param.random_seed >= 0:
            torch.manual_seed(self.param.random_seed + self.ranks.rank)
        self.net = build_train_net(self.param, self.path, data_start, self.device, self.ranks, self.net_class)
        self.test_nets: list[Net] = []
        if self.ranks.is_root:
            self.test_nets = build_test_nets(self.param, self.path, self.net, self.device, self.net_class)
        self.iter = 0
        if self.param.snapshot:
            self._check_snapshot_format()
        self.action_request: ActionRequest = lambda: Action.NONE
        self._current_step = 0
        self._stopping = False
        self._warned_of_divergence = False
        self._updater = Updater(self.net.learnable_params, self.param)
        self._loss = SmoothedLoss(self.param.average_loss)
        self._shared_loss: SharedLoss | None = None
        log.info("Solver scaffolding done.")

    @property
    def history(self) -> list[Tensor]:
        """The update rule's memory, as ``.solverstate`` files hold it: a blob (two: AdaDelta, Adam) per parameter."""
        return self._updater.history

    # --- training ---------------------------------------------------------------------------------------------

    def solve(self, snapshot: str | os.PathLike[str] | None = None, iterations: int | None = None) -> None:
        """Train up to ``max_iter``; with the snapshots, tests and log lines of Caffe.

        Args:
            snapshot: a solver state to restore first.
            iterations: do at most this many now; ending before ``max_iter`` counts as stopping early.
        """
        log.info("Solving %s", self.net.name)
        log.info("Learning Rate Policy: %s", self.param.lr_policy)
        if self.param.snapshot_after_train:
            self._check_snapshot_folder()
            self._check_snapshot_format()
        if snapshot is not None:
            log.info("Restoring previous solver status from %s", snapshot)
            self.restore(snapshot)
        last = self.param.max_iter if iterations is None else min(self.param.max_iter, self.iter + iterations)
        images = images_per_batch(self.net) * self.param.iter_size * self.ranks.count
        with progress_bar(self.iter, self.param.max_iter, images, is_shown=self.ranks.is_root) as advance:
            self._train(last, advance)
        if self.param.snapshot_after_train and not self._is_due(self.param.snapshot) and self.ranks.is_root:
            self.snapshot()
        if self._stopping or self.iter < self.param.max_iter:
            log.info("Optimization stopped early.")
            return
        self._report_the_end()
        log.info("Optimization Done.")

    def step(self, iterations: int) -> None:
        """Do ``iterations`` updates (fewer if asked to stop), past ``max_iter`` too."""
        self._train(self.iter + iterations)

    def _train(self, until: int, advance: Advance = lambda: None) -> None:
        self._stopping = False
        self._share_loss()
        self._loss.restart()
        timer = DisplayTimer(self.iter)
        while self.iter < until:
            self._updater.clear_gradients()
            if self._is_due(self.param.test_interval) and (self.iter > 0 or self.param.test_initialization):
                self._test_on_root()
                if self._stopping:
                    return
            display = self._is_due(self.param.display)
            self.net.debug_info = display and self.param.debug_info
            self._loss.add(self._forward_backward())
            if display:
                self._report(timer)
            self._update(display)
            advance()
            if self._after_iteration():
                return

    def _is_due(self, interval: int) -> bool:
        return interval > 0 and self.iter % interval == 0

    def _forward_backward(self) -> Tensor:
        """Sum up the gradients of ``iter_size`` batches; returns the mean of their losses."""
        losses = []
        for left in reversed(range(self.param.iter_size)):
            self._backward(self._forward(is_last=left == 0))
            if self.net.debug_info and self.ranks.is_root:
                log.error("%s", norms_line(self._updater.parameters))
            losses.append(self.net.loss.detach())
        return torch.stack(losses).mean()

    def _share_loss(self) -> None:
        """Have the gradients shared from now on, if there is somebody to share them with."""
        learns = any(parameter.requires_grad for parameter in self._updater.parameters)
        if self.ranks.count > 1 and self._shared_loss is None and learns:
            self._shared_loss = SharedLoss(self.net)

    def _forward(self, is_last: bool) -> Tensor:
        if self._shared_loss is not None:
            return self._shared_loss(is_last)
        self.net.forward_unfed()
        return self.net.loss

    def _backward(self, loss: Tensor) -> None:
        if loss.requires_grad:
            loss.backward()

    def _update(self, display: bool) -> None:
        step = advance_step(self.param, self.iter, self._current_step)
        if self.param.lr_policy == "multistep" and step != self._current_step:
            log.info("MultiStep Status: Iteration %d, step = %d", self.iter, step)
        rate = learning_rate(self.param, self.iter, step)
        if display:
            log.info("Iteration %d, lr = %s", self.iter, number(rate))
        self._current_step = step
        self._updater.update(rate, self.iter)
        self.iter += 1

    def _after_iteration(self) -> bool:
        """Take the snapshot that is due or asked for; returns whether to stop."""
        action = _ACTIONS[self.ranks.told(_ACTIONS.index(self.action_request()))]
        if (self._is_due(self.param.snapshot) or action is Action.SNAPSHOT) and self.ranks.is_root:
            self.snapshot()
        self._stopping = action is Action.STOP
        return self._stopping

    def _report(self, timer: DisplayTimer) -> None:
        seconds, rate = timer.lap(self.iter)
        loss = self._loss.value
        log.info("Iteration %d (%s iter/s, %ss/%d iters), loss = %s",
                 self.iter, number(rate), number(seconds), self.param.display, number(loss))  # fmt: skip
        for index, line in enumerate(output_lines(self.net, output_values(self.net))):
            log.info("    Train net output #%d: %s", index, line)
        if not math.isfinite(loss) and not self._warned_of_divergence:
            log.warning("The loss is %s: the training has diverged, and goes on as in Caffe", number(loss))
            self._warned_of_divergence = True

    def _report_the_end(self) -> None:
        """What Caffe shows after the last update: the loss of one more batch, and a test, if they are due."""
        if self._is_due(self.param.display):
            with torch.no_grad():
                self.net.forward_unfed()
            self._loss.add(self.net.loss.detach())
            log.info("Iteration %d, loss = %s", self.iter, number(self._loss.value))
        if self._is_due(self.param.test_interval):
            self._test_on_root()

    # --- testing ----------------------------------------------------------------------------------------------

    def test_all(self) -> None:
        """Test every test net, until asked to stop."""
        for index in range(len(self.test_nets)):
            if not self._stopping:
                self.test(index)

    def _test_on_root(self) -> None:
        """Test while the others wait; all heed what is asked for meanwhile."""
        if self.ranks.is_root:
            self.test_all()
        self._stopping = bool(self.ranks.told(self._stopping))

    def test(self, index: int = 0) -> dict[str, Tensor]:
        """The mean of each output of test net ``index`` over its ``test_iter`` batches; {} if asked to stop."""
        log.info("Iteration %d, Testing net (#%d)", self.iter, index)
        net = self.test_nets[index]
        for layer in share_parameters(self.net, net):
            log.info("Ignoring source layer %s", layer)
        scores = MeanScores(net)
        for _ in range(self.param.test_iter[index]):
            self._heed_requests()
            if self._stopping:
                log.info("Test interrupted.")
                return {}
            scores.add_batch()
        if self.param.test_compute_loss:
            log.info("Test loss: %s", number(scores.mean_loss))
        for position, line in enumerate(output_lines(net, scores.mean)):
            log.info("    Test net output #%d: %s", position, line)
        return scores.by_name()

    def _heed_requests(self) -> None:
        while (action := self.action_request()) is not Action.NONE:
            if action is Action.SNAPSHOT:
                self.snapshot()
            else:
                self._stopping = True

    # --- snapshots --------------------------------------------------------------------------------------------

    def snapshot(self) -> str:
        """Write ``<prefix>_iter_<N>.caffemodel`` and ``.solverstate``, each whole or not at all.

        ``snapshot_format: HDF5`` adds ``.h5`` to both. Returns the solver state's path.
        """
        check_writable(self.param.snapshot_prefix, self.path)
        model, state = snapshot_files(self.param, self.iter)
        kind = "HDF5" if self.param.snapshot_format == SolverParameter.HDF5 else "binary proto"
        log.info("Snapshotting to %s file %s", kind, model)
        save_weights(self.net, model, self._updater.diffs() if self.param.snapshot_diff else None)
        log.info("Snapshotting solver state to %s file %s", kind, state)
        history = [blob.cpu().numpy() for blob in self.history]
        write_solverstate(state, SolverState(self.iter, history, model, self._current_step))
        return state

    def _check_snapshot_folder(self) -> None:
        """Raises: PrototxtError if no snapshot could be written where ``snapshot_prefix`` says."""
        if self.ranks.is_root:
            check_writable(self.param.snapshot_prefix, self.path)

    def _check_snapshot_format(self) -> None:
        """Raises: WeightsError if ``snapshot_format`` cannot hold the net."""
        if self.ranks.is_root and self.param.snapshot_format == SolverParameter.HDF5:
            check_hdf5_can_hold(self.net, snapshot_files(self.param, self.iter)[0])

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Go on from a solver state: its weights file, the history and the iteration. Data start over, as in Caffe.

        A weights file that has been moved along with its solver state is found beside it.
        Raises: WeightsError if either file is missing or does not fit the net; nothing is changed then.
        """
        state = read_solverstate(path)
        self._check_history(state, os.fspath(path))
        if state.learned_net:
            self.net.load_weights(find_learned_net(state.learned_net, path))
        for blob, stored in zip(self.history, state.history, strict=True):
            blob.copy_(torch.from_numpy(stored).view(blob.shape))
        log.info("SGDSolver: restoring history")
        self.iter, self._current_step = state.iteration, state.current_step

    def _check_history(self, state: SolverState, path: str) -> None:
        sizes, wanted = [blob.size for blob in state.history], [blob.numel() for blob in self.history]
        if len(sizes) != len(wanted):
            problem = f"Incorrect length of history blobs: {expected_got(len(wanted), len(sizes))}"
            raise WeightsError(problem, path=path, field="history")
        if sizes != wanted:
            index = next(i for i, size in enumerate(sizes) if size != wanted[i])
            param = self.net.learnable_params[index % len(self.net.learnable_params)]  # Adam: once around per moment
            problem = f"of param {param.index}: {expected_got(f'{wanted[index]} numbers', sizes[index])}"
            raise WeightsError(problem, path=path, layer=param.layer, field=f"history[{index}]")
