namespace VhdService.Guest.Nested;

/// <summary>One life of a guest.</summary>
/// <param name="Name">In the log and in the images' names.</param>
/// <param name="Kernel">The kernel's package.</param>
/// <param name="Processors">Virtual ones.</param>
/// <param name="Mode">Whether a disk is plugged in beside: plug or plain.</param>
/// <param name="HasTlfsBits">CPUID says 30h in 40000003h.EBX.</param>
/// <param name="Disks">In the order of their units.</param>
public sealed record NestedGuest(string Name, string Kernel, int Processors, string Mode, bool HasTlfsBits, NestedDisk[] Disks)
{
    private const string Debian = "linux-image-cloud-amd64";
    private const string Backport = "linux-image-6.12-cloud-amd64";

    /// <summary>The lives of a run: every pair of what may vary; with VHDKIT_GUEST_FULL every combination, on two kernels.</summary>
    public static IReadOnlyList<NestedGuest> All { get; } = Environment.GetEnvironmentVariable("VHDKIT_GUEST_FULL") == "1" ? Combinations() : Pairs();

    /// <summary>The disk that is plugged in while it runs.</summary>
    public string? HotImage => Mode == "plug" ? $"{Name}-hot.vhdx" : null;

    /// <summary>How long it may take on a slow and busy machine, where it takes ten times as long as alone. What takes longer hangs.</summary>
    public TimeSpan Limit => TimeSpan.FromSeconds(240 + (120 * Disks.Length));

    /// <summary>What /data/lives says of it. Its watchdog is off: on a busy machine an emulated processor gets no turn for longer than that bears.</summary>
    public string Line =>
        $"{Name} {Limit.TotalSeconds} --kernel /data/{Kernel}.vmlinuz --initrd /data/{Kernel}.img --memory 256M --cpus {Processors}{(HasTlfsBits ? " --tlfs-bits" : "")} "
        + $"--append 'quiet nowatchdog nokaslr mitigations=off disks={Disks.Length} mode={Mode} hot={HotImage}' {string.Join(' ', Disks.Select(disk => disk.Argument(Name)))}";

    public override string ToString() => Name;

    // Each kind with each sector size, each kind and each sector size with one processor and with two.
    private static NestedGuest[] Pairs() =>
    [
        new("one", Debian, 1, "plain", false, [new(DiskKind.FixedVhd, false), new(DiskKind.DynamicVhd, true), new(DiskKind.DifferencingVhdx, true)]),
        new("two", Debian, 2, "plug", false, [new(DiskKind.FixedVhd, true), new(DiskKind.DynamicVhd, false), new(DiskKind.DifferencingVhdx, false)]),
        new("tlfs", Debian, 1, "plain", true, [new(DiskKind.DynamicVhdx, false)]),
    ];

    private static NestedGuest[] Combinations()
    {
        NestedDisk[] disks =
        [
            .. new[] { DiskKind.FixedVhd, DiskKind.DynamicVhd, DiskKind.DifferencingVhdx }.SelectMany(kind => new[] { false, true }, (kind, is4Kn) => new NestedDisk(kind, is4Kn)),
        ];
        return
        [
            .. new[] { Debian, Backport }.SelectMany(kernel => new[] { 1, 2 }, (kernel, processors) =>
                new NestedGuest($"{(kernel == Debian ? "stable" : "backport")}{processors}", kernel, processors, processors == 1 ? "plain" : "plug", false, disks)),
            .. new[] { Debian, Backport }.Select(kernel =>
                new NestedGuest($"{(kernel == Debian ? "stable" : "backport")}tlfs", kernel, 1, "plain", true, [new(DiskKind.DynamicVhdx, false)])),
        ];
    }
}
