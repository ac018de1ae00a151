//! What the series mean that Farol's own agents measure, for `# HELP` on `/metrics/fleet`. The names and their values
//! are the agents'; a series that is not here is somebody's own.

/// The meaning of a family; `None` where only its agent knows.
pub(super) fn of(name: &str) -> Option<&'static str> {
    MEANINGS.binary_search_by_key(&name, |(known, _)| known).ok().map(|at| MEANINGS[at].1)
}

/// By name, in order.
#[rustfmt::skip]
const MEANINGS: &[(&str, &str)] = &[
    ("cache_clients_connected", "Clients connected to the cache."),
    ("cache_commands_total", "Commands the cache has processed."),
    ("cache_evicted_keys_total", "Keys the cache has evicted for want of memory."),
    ("cache_hit_ratio", "Look-ups that found their key, in percent."),
    ("cache_hits_total", "Look-ups that found their key."),
    ("cache_memory_max_bytes", "Memory the cache may use, in bytes."),
    ("cache_memory_usage_percent", "Memory the cache uses of what it may, in percent."),
    ("cache_memory_used_bytes", "Memory the cache uses, in bytes."),
    ("cache_misses_total", "Look-ups that did not find their key."),
    ("cache_response_seconds", "Time the cache took to answer the check, in seconds."),
    ("database_connections_active", "Connections that run a statement."),
    ("database_connections_idle", "Connections that wait for a statement."),
    ("database_connections_idle_in_transaction", "Connections that wait inside a transaction."),
    ("database_connections_max", "Connections the database allows."),
    ("database_connections_open", "Connections that are open."),
    ("database_connections_used_percent", "Open connections of those allowed, in percent."),
    ("database_response_seconds", "Time the database took to answer the check, in seconds."),
    ("disk_files_used_percent", "Used files (inodes) of the checked file system, in percent."),
    ("disk_free_bytes", "Free space of the checked file system, in bytes."),
    ("disk_fullest_percent", "Used space of the fullest of the checked file systems, in percent."),
    ("disk_size_bytes", "Size of the checked file system, in bytes."),
    ("disk_used_percent", "Used space of the checked file system, in percent."),
    ("http_response_seconds", "Time until the checked address answered, in seconds."),
    ("http_response_status", "HTTP status of the checked address's answer."),
    ("system_boot_time_seconds", "When the machine was started, in unix seconds."),
    ("system_container_cpu_limit_cores", "Processors the container may use."),
    ("system_container_cpu_usage_percent", "Processor time the container uses, in percent."),
    ("system_container_cpu_usage_seconds_total", "Processor time the container has used, in seconds."),
    ("system_container_memory_limit_bytes", "Memory the container may use, in bytes."),
    ("system_container_memory_usage_bytes", "Memory charged to the container, caches included, in bytes."),
    ("system_container_memory_usage_percent", "Memory the container uses of what it may, in percent."),
    ("system_context_switches_total", "Context switches of the machine."),
    ("system_cpu_seconds_total", "Processor time by what it was spent on, in seconds."),
    ("system_cpu_usage_percent", "Processor time in use, in percent."),
    ("system_cpus", "Processors of the machine."),
    ("system_disk_available_bytes", "Space of a file system that users may still fill, in bytes."),
    ("system_disk_files", "Files (inodes) a file system can hold."),
    ("system_disk_files_free", "Files (inodes) a file system has left."),
    ("system_disk_read_bytes_total", "Bytes read from a disk."),
    ("system_disk_reads_total", "Reads a disk has completed."),
    ("system_disk_total_bytes", "Size of a file system, in bytes."),
    ("system_disk_usage_percent", "Used space of a file system, in percent."),
    ("system_disk_writes_total", "Writes a disk has completed."),
    ("system_disk_written_bytes_total", "Bytes written to a disk."),
    ("system_file_descriptors_max", "Open files the machine allows."),
    ("system_forks_total", "Processes the machine has started."),
    ("system_interrupts_total", "Interrupts the machine has served."),
    ("system_load1", "Load average of the last minute."),
    ("system_load15", "Load average of the last fifteen minutes."),
    ("system_load5", "Load average of the last five minutes."),
    ("system_memory_available_bytes", "Memory that can be had without swapping, in bytes."),
    ("system_memory_free_bytes", "Memory that nothing uses, in bytes."),
    ("system_memory_oom_kills_total", "Processes killed for want of memory."),
    ("system_memory_total_bytes", "Memory of the machine, in bytes."),
    ("system_memory_usage_percent", "Memory in use, in percent."),
    ("system_memory_used_bytes", "Memory in use, in bytes."),
    ("system_network_receive_bytes_total", "Bytes a network device has received."),
    ("system_network_receive_dropped_total", "Packets a network device has dropped on receipt."),
    ("system_network_receive_errors_total", "Errors a network device has met on receipt."),
    ("system_network_receive_packets_total", "Packets a network device has received."),
    ("system_network_transmit_bytes_total", "Bytes a network device has sent."),
    ("system_network_transmit_dropped_total", "Packets a network device has dropped instead of sending."),
    ("system_network_transmit_errors_total", "Errors a network device has met while sending."),
    ("system_network_transmit_packets_total", "Packets a network device has sent."),
    ("system_open_file_descriptors", "Files that are open on the machine."),
    ("system_processes", "Processes of the machine."),
    ("system_processes_blocked", "Processes that wait for a disk."),
    ("system_processes_running", "Processes that run or could."),
    ("system_swap_total_bytes", "Swap of the machine, in bytes."),
    ("system_swap_usage_percent", "Swap in use, in percent."),
    ("system_swap_used_bytes", "Swap in use, in bytes."),
    ("system_threads", "Threads of the machine."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_each_meaning_a_sentence() {
        assert!(MEANINGS.is_sorted_by(|a, b| a.0 < b.0));
        for (name, meaning) in MEANINGS {
            assert_eq!(of(name), Some(*meaning));
            assert!(
                meaning.starts_with(|c: char| c.is_ascii_uppercase()) && meaning.ends_with('.'),
                "{name}"
            );
        }
        assert_eq!(of("orders_total"), None);
    }
}
