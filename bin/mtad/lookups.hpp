// Lookups in tables on behalf of a coroutine: on the loop while nothing has to wait, else on the worker's pool for tables.
//
// The operation is called on the loop first, where tables answer from memory or from a file at once. When one of them
// would have had to wait (a server, a held lock, a changed file), what came out is dropped and the same operation runs
// again on a pool thread. It must therefore be one that can be run twice, and all that it touches must stay alive and
// alone until the coroutine goes on.
#pragma once

#include <mta/table/patience.hpp>

#include "worker.hpp"

namespace mta::daemon {

// operation returns a result<T>. Its own errors are handed on; errc::temporary when the pool is full.
// g++ 12: pass a named callable, `auto operation = [..]{..}; co_await look_up(owner, operation)`.
template <class Operation>
[[nodiscard]] boost::asio::awaitable<std::invoke_result_t<Operation&>> look_up(worker& owner, Operation operation) {
    {
        const table::no_waiting on_the_loop;
        auto outcome = operation();
        if (!table::no_waiting::refused())
            co_return outcome;
    }
    auto job = [operation = std::move(operation)]() mutable {
        const table::limited_waiting on_a_thread(table::thread_patience);
        return operation();
    };
    co_return co_await owner.tables().run(std::move(job));
}

} // namespace mta::daemon
