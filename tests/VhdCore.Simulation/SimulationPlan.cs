using VhdCore.Testing.Crash;
using VhdCore.Testing.Independent;

namespace VhdCore.Simulation;

/// <summary>What one seed stands for: the image, the medium, and how many work on it.</summary>
internal sealed record SimulationPlan
{
    public const int BlockSize = 4096; // bytes
    public const string Leaf = "/leaf.vhd";
    public const string Base = "/base.vhd";

    public required int Seed { get; init; }

    /// <summary>Bytes of disk; the last block is not whole.</summary>
    public required int Size { get; init; }

    /// <summary>The library creates the image, with cuts on the way; otherwise it is there already.</summary>
    public required bool IsCreated { get; init; }

    /// <summary>Who made the image that is there already.</summary>
    public required PlainDialect Dialect { get; init; }

    public required bool IsDifferencing { get; init; }

    public required bool IsExtensionOrdered { get; init; }

    public required bool CanPunch { get; init; }

    /// <summary>Requests in flight at once; 1 is a script without concurrency.</summary>
    public required int WorkerCount { get; init; }

    /// <summary>The medium has everything at hand; otherwise reads take their turn as well.</summary>
    public required bool ReadsAtOnce { get; init; }

    /// <summary>The medium answers some time after the fact, in any order.</summary>
    public required bool CompletesLate { get; init; }

    /// <summary>Many cuts in few scripts find other things than few in many.</summary>
    public required double CutsPerStep { get; init; }

    /// <summary>Requests of the first worker in a session.</summary>
    public int RequestCount { get; init; } = 24;

    /// <summary>Where a cut may leave no more states than this, all of them are judged instead of some.</summary>
    public int ExhaustiveLimit { get; init; }

    /// <summary>Readers that ignore sector bitmaps see the same: dynamic images, but for foreign ones with clear bits.</summary>
    public bool AreBitmapsFull => !IsDifferencing && (IsCreated || Dialect == PlainDialect.Qemu);

    public static SimulationPlan FromSeed(int seed)
    {
        var random = new Random(seed);
        return new SimulationPlan
        {
            Seed = seed,
            Size = (random.Next(5, 16) * BlockSize) + (random.Next(1, 8) * SectorOracle.SectorSize),
            IsCreated = random.Next(2) == 0,
            Dialect = (PlainDialect)random.Next(3),
            IsDifferencing = random.Next(3) == 0,
            IsExtensionOrdered = random.Next(2) == 0,
            CanPunch = random.Next(2) == 0,
            WorkerCount = random.Next(6) switch { < 2 => 1, < 4 => 2, 4 => 3, _ => 5 },
            ReadsAtOnce = random.Next(2) == 0,
            CutsPerStep = random.Next(4) switch { 0 => 2, 1 => 0.7, _ => 0.2 },
            CompletesLate = random.Next(2) == 0,
        };
    }

    /// <summary>A small disk and a short script, of which nearly every state can be judged.</summary>
    public static SimulationPlan SmallFromSeed(int seed) => FromSeed(seed) with
    {
        Size = (2 * BlockSize) + SectorOracle.SectorSize,
        WorkerCount = 1,
        RequestCount = 5,
        CutsPerStep = 20,
        ExhaustiveLimit = 500,
    };

    /// <summary>A medium with the images that are there already.</summary>
    public CrashWorld CreateWorld()
    {
        var world = new CrashWorld { IsExtensionOrdered = IsExtensionOrdered, CanPunch = CanPunch, ReadsAtOnce = ReadsAtOnce, CompletesLate = CompletesLate };
        var random = new Random(Seed);
        PlainVhdBuilder? parent = null;
        if (IsDifferencing)
        {
            parent = new PlainVhdBuilder { FileName = Base[1..], Size = Size, BlockSize = BlockSize, Dialect = PlainDialect.Windows, Id = 1 };
            Fill(parent, random, 1);
            world.Add(Base, parent.Build());
        }

        if (!IsCreated)
        {
            var leaf = new PlainVhdBuilder { FileName = Leaf[1..], Size = Size, BlockSize = BlockSize, Dialect = Dialect, Id = 2, Parent = parent };
            Fill(leaf, random, 2);
            world.Add(Leaf, leaf.Build());
        }

        return world;
    }

    private void Fill(PlainVhdBuilder builder, Random random, int version)
    {
        for (var sector = 0; sector < Size / SectorOracle.SectorSize; sector++)
        {
            // Some blocks dense, some with a few sectors, some not there.
            if (random.Next(8) < sector / 8 % 4 * 2)
            {
                builder.Put(sector, Pattern.Create((long)sector * SectorOracle.SectorSize, SectorOracle.SectorSize, -version));
            }
        }
    }
}
