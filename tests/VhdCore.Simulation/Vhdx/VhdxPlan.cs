using VhdCore.Testing.Independent;

namespace VhdCore.Simulation.Vhdx;

/// <summary>Which blocks of the disk are in play.</summary>
internal enum VhdxShape
{
    /// <summary>A disk of a few blocks: one page of the BAT, one of the sector bitmap.</summary>
    Small,

    /// <summary>A few blocks far apart, in different pages of the BAT, on both sides of a border between chunks.</summary>
    Spread,

    /// <summary>Many blocks, each with a page of the sector bitmap of its own: rounds as large as the log allows, and a log that wraps.</summary>
    Wide,
}

/// <summary>What one seed stands for: the images, the medium, and how many work on them.</summary>
internal sealed record VhdxPlan
{
    public const string Leaf = "/leaf.vhdx";
    public const string Middle = "/middle.vhdx";
    public const string Base = "/base.vhdx";

    private const int OneMiB = 1 << 20;
    private const int WideBlockCount = 96; // one page each: more than an entry of the log may have
    private const int BlocksPerBitmapPage = 16; // of 1 MiB, in sectors of 512

    public required int Seed { get; init; }

    public required VhdxShape Shape { get; init; }

    /// <summary>Bytes.</summary>
    public required long BlockSize { get; init; }

    /// <summary>Bytes.</summary>
    public required int LogicalSectorSize { get; init; }

    /// <summary>0 for a dynamic disk.</summary>
    public required int ParentCount { get; init; }

    /// <summary>The leaf was made by another program: with content, places nobody uses that hold something, bits of earlier lives, and an odd length.</summary>
    public required bool IsForeign { get; init; }

    /// <summary>The foreign leaf's log has to be replayed.</summary>
    public required bool HasDirtyLog { get; init; }

    /// <summary>A fixed disk, made by the library: every block has its place from the beginning.</summary>
    public required bool IsFixed { get; init; }

    /// <summary>One of the headers is damaged at first, to be mended on opening for writing.</summary>
    public required bool HasDamagedHeader { get; init; }

    /// <summary>One copy of the region table is.</summary>
    public required bool HasDamagedRegionTable { get; init; }

    public required bool IsExtensionOrdered { get; init; }

    public required bool CanPunch { get; init; }

    /// <summary>The medium has everything at hand; otherwise reads take their turn as well.</summary>
    public required bool ReadsAtOnce { get; init; }

    /// <summary>Requests in flight at once; 1 is a script without concurrency.</summary>
    public required int WorkerCount { get; init; }

    /// <summary>The medium answers some time after the fact, in any order.</summary>
    public required bool CompletesLate { get; init; }

    /// <summary>Many cuts in few scripts find other things than few in many.</summary>
    public required double CutsPerStep { get; init; }

    /// <summary>Rounds of the log before the first cut, so that cuts meet it at any place.</summary>
    public required int WarmUpRounds { get; init; }

    /// <summary>Requests of the first worker in a session.</summary>
    public required int RequestCount { get; init; }

    /// <summary>Bytes; the last block is not whole.</summary>
    public long DiskSize => (Blocks[^1] * BlockSize) + (OneMiB / 4);

    /// <summary>The blocks in play.</summary>
    internal int[] Blocks => Shape switch
    {
        VhdxShape.Small => [0, 1, 2, 3, 4],
        VhdxShape.Spread => [0, 1, 511, 512, ChunkRatio - 1, ChunkRatio, ChunkRatio + 700],
        _ => [.. Enumerable.Range(0, WideBlockCount).Select(i => i * BlocksPerBitmapPage)],
    };

    /// <summary>Payload blocks in a chunk.</summary>
    internal int ChunkRatio => (int)(8388608L * LogicalSectorSize / BlockSize);

    internal VhdxSites Sites => new(
        Blocks, BlockSize, DiskSize, groupCount: Shape == VhdxShape.Small && LogicalSectorSize == 512 ? 3 : 2, groupSize: LogicalSectorSize == 512 ? 4 : 16);

    /// <summary>Where things lie in an image of this disk.</summary>
    internal PlainVhdxBuilder Layout => new() { DiskSize = DiskSize, BlockSize = BlockSize, SectorSize = LogicalSectorSize, Locator = ParentCount > 0 ? [("", "")] : [] };

    public static VhdxPlan FromSeed(int seed)
    {
        var random = new Random(seed);
        var shape = random.Next(12) switch { < 8 => VhdxShape.Small, < 11 => VhdxShape.Spread, _ => VhdxShape.Wide };
        var isWide = shape == VhdxShape.Wide;
        var parentCount = isWide ? 1 : random.Next(5) switch { < 2 => 0, < 4 => 1, _ => 2 };
        var isFixed = shape == VhdxShape.Small && parentCount == 0 && random.Next(3) == 0;
        return new VhdxPlan
        {
            Seed = seed,
            Shape = shape,
            BlockSize = shape == VhdxShape.Small && random.Next(4) == 0 ? 2 * OneMiB : OneMiB,
            LogicalSectorSize = !isWide && random.Next(3) == 0 ? 4096 : 512,
            ParentCount = parentCount,
            IsFixed = isFixed,
            IsForeign = !isFixed && random.Next(3) == 0,
            HasDamagedHeader = random.Next(8) == 0,
            HasDamagedRegionTable = random.Next(8) == 0,
            HasDirtyLog = random.Next(2) == 0,
            IsExtensionOrdered = random.Next(2) == 0,
            CanPunch = random.Next(4) != 0,
            ReadsAtOnce = random.Next(2) == 0,
            WorkerCount = random.Next(6) switch { < 3 => 1, 3 => 2, 4 => 3, _ => 5 },
            CutsPerStep = isWide ? 0.05 : random.Next(3) switch { 0 => 2, 1 => 0.7, _ => 0.2 },
            WarmUpRounds = random.Next(3) == 0 ? random.Next(130) : 0,
            RequestCount = 22,
            CompletesLate = random.Next(2) == 0,
        };
    }
}
